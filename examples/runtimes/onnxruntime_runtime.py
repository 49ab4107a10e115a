"""The little model in ONNX Runtime: `EdgeClassifier("my-bundle", runtime=OnnxRuntime())`.

Needs `pip install onnxruntime`. The network has one input, `float32 (1, 3, H, W)`, and one output, the logits. Wrap it
in a bundle with `edge_sdk.model.wrap.wrap_network`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import BundleError, RuntimeMissing
from edge_sdk.model.bundle import InputSpec
from edge_sdk.types import Image


class OnnxRuntime:
    """Runs `model.onnx`.

    Args:
        providers: ONNX Runtime's execution providers, the preferred one first.
    """

    name = "onnxruntime"
    format = "onnx"

    def __init__(self, providers: tuple[str, ...] = ("CPUExecutionProvider",)) -> None:
        self._providers = providers

    def load(self, path: Path, spec: InputSpec, threads: int) -> OnnxProgram:
        """See `edge_sdk.model.runtime.Runtime.load`."""
        try:
            import onnxruntime
        except ImportError as error:
            raise RuntimeMissing(f"expected the package onnxruntime; got: {error}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(str(path), options, list(self._providers))
        except Exception as error:  # its errors share no base class
            raise BundleError(f"{path}: expected a network that ONNX Runtime can load; got: {error}") from error
        shapes = [one.shape for one in session.get_inputs()]
        if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] != 3:
            raise BundleError(f"{path}: expected one input of shape (1, 3, H, W); got {shapes}")
        return OnnxProgram(session, spec)


class OnnxProgram:
    """A loaded network; ONNX Runtime lets threads share it."""

    def __init__(self, session: Any, spec: InputSpec) -> None:
        (taken,), (given, *_) = session.get_inputs(), session.get_outputs()
        self._session = session
        self._input = taken.name
        self._output = given.name
        height, width = taken.shape[2:]
        # A size that the network leaves open is the manifest's.
        self.height = height if isinstance(height, int) else spec.height
        self.width = width if isinstance(width, int) else spec.width
        self._scale = (1 / (255 * np.array(spec.std))).astype(np.float32)
        self._shift = (-np.array(spec.mean) / np.array(spec.std)).astype(np.float32)
        self.outputs = self.forward(np.zeros((self.height, self.width, 3), np.uint8)).size

    def forward(self, pixels: Image) -> NDArray[np.float32]:
        """Logits `float32 (outputs,)` of `uint8 (height, width, 3)` RGB pixels."""
        values = np.ascontiguousarray((pixels * self._scale + self._shift).transpose(2, 0, 1)[np.newaxis])
        return np.asarray(self._session.run([self._output], {self._input: values})[0], np.float32).reshape(-1)
