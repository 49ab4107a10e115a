"""A GPU's memory: batches are staged in pinned memory and copied at once, and one that does not fit is run in parts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cloud_server.model.ticket import Ran, Rows
from edge_sdk.types import Image

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


class Staging:
    """Brings batches to a device in one copy each, from memory that is kept: pinned for a GPU.

    A batch is copied before the next one is staged only where the caller waits for its results, as models do.

    Args:
        device: where batches go.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kept: torch.Tensor | None = None

    def batch(self, images: Sequence[Image]) -> torch.Tensor:
        """N pictures, `uint8 (H, W, 3)` each, as one tensor `uint8 (N, H, W, 3)` on the device."""
        import torch

        on_gpu = self._device.type == "cuda"
        shape = images[0].shape
        if self._kept is None or len(self._kept) < len(images) or self._kept.shape[1:] != shape:
            room = 1 << (len(images) - 1).bit_length()
            self._kept = torch.empty((room, *shape), dtype=torch.uint8, pin_memory=on_gpu)
        staged = self._kept[: len(images)]
        np.stack(images, out=staged.numpy())
        return staged.to(self._device, non_blocking=True) if on_gpu else staged.clone()


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
