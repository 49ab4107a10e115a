"""The official executorch package, for a device without a compiler. It computes the same, and loads torch."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.model.inputs import InputSpec
from edge_sdk.model.runtime import Program
from edge_sdk.types import Image


class ExecutorchRuntime:
    """Runs `model.pte` in the executorch package."""

    name = "executorch"
    format = "executorch"

    def load(self, path: Path, spec: InputSpec, threads: int) -> Program:
        """See `Runtime.load`."""
        try:
            return ExecutorchProgram(path, spec, threads)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        except RuntimeError as error:
            raise BundleError(f"{path}: expected a program that the runtime can load; got: {error}") from error


class ExecutorchProgram:
    """A network in the executorch package.

    The package does not tell a program's memory format. It must be channels-last, as the exporter writes it; the golden
    picture catches any other. The package's thread pool is one per process: `threads` resizes it.

    Args:
        path: the network file.
        spec: the input.
        threads: processor threads that one forward pass uses.

    Raises:
        ValueError: `threads` cannot be had.
        RuntimeError: the file is not such a network.
    """

    def __init__(self, path: Path, spec: InputSpec, threads: int) -> None:
        torch: Any = importlib.import_module("torch")
        runtime: Any = importlib.import_module("executorch.runtime")
        pool: Any = importlib.import_module("executorch.extension.pybindings.portable_lib")
        if threads < 1:
            raise ValueError(f"threads: expected 1 or more; got {threads}")
        pool._unsafe_reset_threadpool(threads)
        self._from_numpy: Any = torch.from_numpy
        self._loaded = runtime.Runtime.get().load_program(str(path))  # kept: the method runs in its memory
        if "forward" not in self._loaded.method_names:
            raise RuntimeError(f'expected a method "forward"; got {sorted(self._loaded.method_names)}')
        self._method = self._loaded.load_method("forward")
        sizes = tuple(self._method.metadata.input_tensor_meta(0).sizes())
        if len(sizes) != 4 or sizes[:2] != (1, 3):
            raise RuntimeError(f"expected an input of shape (1, 3, H, W); got {sizes}")
        self.height, self.width = sizes[2:]
        self.outputs = int(np.prod(self._method.metadata.output_tensor_meta(0).sizes()))
        self._scale = np.array([1 / (255 * s) for s in spec.std], np.float32)
        self._shift = np.array([-m / s for m, s in zip(spec.mean, spec.std, strict=True)], np.float32)

    def forward(self, pixels: Image) -> NDArray[np.float32]:
        """Logits `float32 (outputs,)` of `uint8 (height, width, 3)` RGB pixels."""
        # The transposed view keeps the pixels' memory order, which is torch's channels-last format.
        tensor = self._from_numpy((pixels * self._scale + self._shift)[np.newaxis]).permute(0, 3, 1, 2)
        logits: NDArray[np.float32] = self._method.execute([tensor])[0].numpy()
        return logits.reshape(-1).copy()
