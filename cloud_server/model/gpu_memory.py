"""A GPU's memory: batches are copied from pinned memory while it computes; one that does not fit is run in parts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cloud_server.model.ticket import Ran, Rows
from edge_sdk.types import Image

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


PART = 16
"""Frames from which on a part of a batch is worth a run of its own."""


class Staging:
    """Brings batches to a device, from memory that is kept: pinned for a GPU.

    A batch is copied before the next one is staged only where the caller waits for its results, as models do.

    Args:
        device: where batches go.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kept: torch.Tensor | None = None
        self._copies: torch.cuda.Stream | None = None

    def batch(self, images: Sequence[Image]) -> torch.Tensor:
        """N pictures, `uint8 (H, W, 3)` each, as one tensor `uint8 (N, H, W, 3)` on the device, in one copy."""
        (pixels,) = self._parts(images, len(images))
        return pixels

    def parts(self, images: Sequence[Image]) -> Iterator[torch.Tensor]:
        """The same pictures in order, in two parts where there are enough.

        A GPU computes the first part while the second is put together here and copied, on a stream of its own.
        """
        return self._parts(images, len(images) if len(images) < 2 * PART else -(-len(images) // 2))

    def _parts(self, images: Sequence[Image], size: int) -> Iterator[torch.Tensor]:
        import torch

        shape = images[0].shape
        if self._kept is None or len(self._kept) < len(images) or self._kept.shape[1:] != shape:
            room = 1 << (len(images) - 1).bit_length()
            self._kept = torch.empty((room, *shape), dtype=torch.uint8, pin_memory=self._device.type == "cuda")
        for at in range(0, len(images), size):
            staged = self._kept[at : min(at + size, len(images))]
            np.stack(images[at : at + size], out=staged.numpy())
            yield self._copied(staged)

    def _copied(self, staged: torch.Tensor) -> torch.Tensor:
        import torch

        if self._device.type != "cuda":
            return staged.clone()
        if self._copies is None:
            self._copies = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._copies):
            pixels = staged.to(self._device, non_blocking=True)
        computes = torch.cuda.current_stream(self._device)
        computes.wait_stream(self._copies)  # for the copies of so far: the next part's is not begun
        pixels.record_stream(computes)  # its memory is not given to another copy before it is read
        return pixels


class WithinMemory:
    """Runs batches in parts that fit into the GPU's memory; how many frames do is learned from those that did not.

    Attributes:
        most: frames in one run; None: no batch was too large yet.
    """

    def __init__(self) -> None:
        self.most: int | None = None

    def run(
        self,
        run: Callable[[Sequence[Image], Sequence[Any]], Rows],
        images: Sequence[Image],
        little: Sequence[Any],
    ) -> Rows:
        """As `run`, in parts where the whole does not fit.

        Raises:
            torch.OutOfMemoryError: one frame alone does not fit.
        """
        import torch

        done: list[Rows] = []
        at = 0
        while at < len(images):
            size = min(self.most or len(images), len(images) - at)
            try:
                done.append(run(images[at : at + size], little[at : at + size]))
                at += size
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise torch.OutOfMemoryError(
                        "expected GPU memory for one frame; there is none left: end what else runs on this GPU, or "
                        "serve a smaller model"
                    ) from error
                self.most = size // 2
                _log.warning("%d frames do not fit into the GPU's memory: %d at a time from now on", size, self.most)
            else:
                continue
            torch.cuda.empty_cache()  # outside the handler, whose traceback holds what was allocated
        if len(done) == 1:
            return done[0]
        columns = [np.concatenate(parts) for parts in zip(*done, strict=True)]
        return Ran(*columns) if len(columns) == 3 else (columns[0], columns[1])
