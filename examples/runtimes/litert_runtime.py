"""The little model in LiteRT (TensorFlow Lite): `EdgeClassifier("my-bundle", runtime=LiteRt())`.

Needs `pip install ai-edge-litert`. The network has one input, `float32`, `int8` or `uint8 (1, H, W, 3)`, and one
output, the logits. Wrap it in a bundle with `edge_sdk.model.wrap.wrap_network`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import BundleError, RuntimeMissing
from edge_sdk.model.bundle import InputSpec
from edge_sdk.types import Image


class LiteRt:
    """Runs `model.tflite`."""

    name = "litert"
    format = "tflite"

    def load(self, path: Path, spec: InputSpec, threads: int) -> LiteRtProgram:
        """See `edge_sdk.model.runtime.Runtime.load`."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise RuntimeMissing(f"expected the package ai-edge-litert; got: {error}") from error
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"{path}: expected a network that LiteRT can load; got: {error}") from error
        shapes = [tuple(int(size) for size in one["shape"]) for one in interpreter.get_input_details()]
        if len(shapes) != 1 or len(shapes[0]) != 4 or (shapes[0][0], shapes[0][3]) != (1, 3):
            raise BundleError(f"{path}: expected one input of shape (1, H, W, 3); got {shapes}")
        return LiteRtProgram(interpreter, spec)


class LiteRtProgram:
    """A loaded network. An interpreter holds one picture at a time, so threads take turns."""

    def __init__(self, interpreter: Any, spec: InputSpec) -> None:
        self._interpreter = interpreter
        self._lock = threading.Lock()
        self._input = interpreter.get_input_details()[0]
        self._output = interpreter.get_output_details()[0]
        self.height, self.width = (int(size) for size in self._input["shape"][1:3])
        self.outputs = int(np.prod(self._output["shape"]))
        self._scale = (1 / (255 * np.array(spec.std))).astype(np.float32)
        self._shift = (-np.array(spec.mean) / np.array(spec.std)).astype(np.float32)

    def forward(self, pixels: Image) -> NDArray[np.float32]:
        """Logits `float32 (outputs,)` of `uint8 (height, width, 3)` RGB pixels."""
        values = _quantised(pixels * self._scale + self._shift, self._input)
        with self._lock:
            self._interpreter.set_tensor(self._input["index"], values[np.newaxis])
            self._interpreter.invoke()
            logits = self._interpreter.get_tensor(self._output["index"])
        return _real(logits, self._output).reshape(-1)


def _quantised(values: NDArray[np.float32], tensor: dict[str, Any]) -> NDArray[Any]:
    kind, (scale, zero) = tensor["dtype"], tensor["quantization"]
    if kind is np.float32:
        return values
    limits = np.iinfo(kind)
    whole: NDArray[Any] = np.clip(np.rint(values / scale + zero), limits.min, limits.max).astype(kind)
    return whole


def _real(values: NDArray[Any], tensor: dict[str, Any]) -> NDArray[np.float32]:
    scale, zero = tensor["quantization"]
    if tensor["dtype"] is np.float32:
        return np.array(values, np.float32)
    real: NDArray[np.float32] = ((values.astype(np.float32) - zero) * scale).astype(np.float32)
    return real
