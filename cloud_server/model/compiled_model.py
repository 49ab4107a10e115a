"""The big model compiled by torch: kernels of its own on the CPU, CUDA graphs on a GPU, one for each size of a batch.

What is compiled holds for one size of input, and a new size would be compiled while devices wait. So a batch is filled
up to the next of a few sizes (buckets), and all of them are compiled and run before the server serves.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cloud_server.model.ticket import Rows
from cloud_server.model.torch_model import TorchModel
from edge_sdk.errors import ConfigError
from edge_sdk.types import Image

if TYPE_CHECKING:
    from edge_sdk.networks.checkpoint import CheckpointInfo

_log = logging.getLogger(__name__)
LARGEST = 64
"""The largest bucket; larger batches are run in parts."""


def buckets_up_to(most: int) -> list[int]:
    """1, 2, 4, ... up to the first that holds `most`, or `LARGEST`."""
    return [1 << power for power in range(min(most, LARGEST).bit_length() + 1) if 1 << power < 2 * min(most, LARGEST)]


class CompiledModel(TorchModel):
    """As `TorchModel`, by `torch.compile`.

    Args:
        module: as there.
        info: as there.
        name: as there.
        device: as there.
        backend: of `torch.compile`.

    Attributes:
        overlaps: false: a run of a CUDA graph writes over what the run before it said.
    """

    overlaps = False

    def __init__(self, module: Any, info: CheckpointInfo, *, name: str, device: str, backend: str = "inductor") -> None:
        import torch

        super().__init__(module, info, name=name, device=device)
        self.device += ", compiled"
        # While another model is loaded, and traced, this one runs as it is in place of refusing to run.
        torch._dynamo.config.error_on_nested_fx_trace = False
        options: dict[str, Any] = {"mode": "reduce-overhead"} if self.on_gpu and backend == "inductor" else {}
        self._compiled = torch.compile(self._module, backend=backend, dynamic=False, **options)
        self._buckets = buckets_up_to(1)

    def make_ready(self, most: int) -> None:
        """Compile and run each size up to `most`, on the thread that will run the model.

        Raises:
            ConfigError: the network cannot be compiled here.
        """
        self._buckets = buckets_up_to(most)
        blank = np.zeros((self.input_height, self.input_width, 3), np.uint8)
        began = time.monotonic()
        for done, size in enumerate(self._buckets):
            _log.info("compiling for %d frames a run, %d of %d sizes", size, done + 1, len(self._buckets))
            try:
                for _ in range(3):  # CUDA graphs are recorded in the second run
                    self.run([blank] * size, [None] * size)
            except Exception as error:  # compilers fail in many ways
                raise ConfigError(
                    f"expected a network that torch can compile here, with a C++ compiler; got {type(error).__name__}: "
                    f"{error!s:.300}. --engine torch runs it as it is"
                ) from error
        _log.info("compiled in %.0f s", time.monotonic() - began)

    def _network(self) -> Any:
        return self._compiled

    def _run(self, images: Sequence[Image], little: Sequence[Any]) -> Rows:
        largest = self._buckets[-1]
        parts = [self._run_part(images[at : at + largest]) for at in range(0, len(images), largest)]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([macs for _, macs in parts])

    def _run_part(self, images: Sequence[Image]) -> tuple[Any, Any]:
        size = next(bucket for bucket in self._buckets if bucket >= len(images))
        filled = [*images, *[images[-1]] * (size - len(images))]
        rows, macs = super()._run(filled, [None] * size)[:2]
        return rows[: len(images)], macs[: len(images)]
