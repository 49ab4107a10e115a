"""The little model: a picture in, class probabilities out.

A runtime (`edge_sdk.model.runtime`) runs the network; this module scales the picture, checks the runtime against the
bundle's golden picture, and turns logits into probabilities.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import BundleError, EdgeError
from edge_sdk.images.geometry import centre_crop
from edge_sdk.model.bundle import Bundle, InputSpec, Manifest, open_bundle, read_golden
from edge_sdk.model.default_runtime import default_runtime
from edge_sdk.model.runtime import Program, Runtime
from edge_sdk.types import Image, Prediction, check_image


def prepare(image: Image, spec: InputSpec) -> Image:
    """Bring a picture to the input's size, by the rule in `spec.resize`.

    A picture is halved (the mean of each 2x2 square) for as long as it stays at least as large as the target; the last
    factor, below 2 on the tighter side, is bilinear. An exact area average costs five to ten times as much (640x480 to
    128x128: 0.8 ms against 0.1 ms on one core). Training, export and the device all use this function.

    Args:
        image: `uint8 (H, W, 3)` RGB.
        spec: the input.

    Returns:
        `uint8 (spec.height, spec.width, 3)` RGB; `image` itself where it has that size already.

    Raises:
        ImageError: `image` is not such a picture.
    """
    image = check_image(image)
    width, height = spec.width, spec.height
    if image.shape == (height, width, 3):
        return image
    if spec.resize == "stretch":
        return _scale(image, width, height)
    if spec.resize == "crop":
        return _scale(centre_crop(image, width, height), width, height)
    image_height, image_width = image.shape[:2]
    ratio = max(image_width / width, image_height / height)
    fit_width, fit_height = max(1, round(image_width / ratio)), max(1, round(image_height / ratio))
    left, top = (width - fit_width) // 2, (height - fit_height) // 2
    out = np.empty((height, width, 3), np.uint8)
    out[:] = [round(255 * mean) for mean in spec.mean]
    out[top : top + fit_height, left : left + fit_width] = _scale(image, fit_width, fit_height)
    return out


class LittleModel:
    """The model on the device. Safe to use from several threads, which then take turns.

    Args:
        bundle: a bundle, its folder, or the name of one that ships.
        threads: processor threads that one forward pass uses. One is best for small networks: two threads that share a
            core take longer than one.

        runtime: what runs the network; None: ExecuTorch.

    Raises:
        BundleError: the bundle is missing or damaged, is for another runtime, does not fit its program, or this
            processor computes wrong results (the golden picture's output differs).
        ConfigError: `threads` cannot be had.
        RuntimeMissing: neither the compiled runtime nor the executorch package is installed.
    """

    def __init__(self, bundle: Bundle | str | Path, *, threads: int = 1, runtime: Runtime | None = None) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        self.threads = threads
        runner = default_runtime() if runtime is None else runtime
        if runner.format != self.manifest.format:
            raise BundleError(
                f"{self.bundle.path}: expected a bundle of format {runner.format!r}, which the runtime {runner.name!r} "
                f"runs; got {self.manifest.format!r}, which needs a runtime of its own (runtime=...)"
            )
        self._runtime = runner
        program = runner.load(self.bundle.model_path, self.manifest.input, threads)
        self._program: Program | None = program
        _check_fit(self.bundle, program)

    @property
    def manifest(self) -> Manifest:
        """What the model is."""
        return self.bundle.manifest

    @property
    def labels(self) -> tuple[str, ...]:
        """The C class names, in the order of the outputs."""
        return self.manifest.labels

    @property
    def runtime(self) -> str:
        """Name of what runs it here, such as "native" (`edge_sdk._native`) or "executorch" (the Python package)."""
        return self._runtime.name

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass."""
        return self.manifest.macs

    def logits(self, image: Image) -> NDArray[np.float32]:
        """Run the network on one picture of any size, `uint8 (H, W, 3)` RGB; returns `float32 (C,)`.

        Raises:
            ImageError: `image` is not such a picture.
            EdgeError: the model is closed.
        """
        if self._program is None:
            raise EdgeError("expected an open model; this LittleModel was closed")
        return self._program.forward(prepare(image, self.manifest.input))

    def predict(self, image: Image) -> Prediction:
        """Class probabilities of one picture: softmax of the logits over the policy's temperature.

        Raises:
            ImageError: `image` is not `uint8 (H, W, 3)`.
            EdgeError: the model is closed.
        """
        scaled = self.logits(image) / np.float32(self.bundle.policy.temperature)
        weights = np.exp(scaled - scaled.max())
        return Prediction(self.labels, weights / weights.sum())

    def close(self) -> None:
        """Free the network's memory. May be called again."""
        self._program = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_fit(bundle: Bundle, program: Program) -> None:
    manifest, path = bundle.manifest, bundle.model_path
    if (program.width, program.height) != (manifest.input.width, manifest.input.height):
        raise BundleError(
            f"{path}: expected an input of {manifest.input.width}x{manifest.input.height} as the manifest says; "
            f"got {program.width}x{program.height}"
        )
    if program.outputs != len(manifest.labels):
        raise BundleError(f"{path}: expected {len(manifest.labels)} outputs, one per label; got {program.outputs}")
    expected = np.array(manifest.golden.logits, np.float32)
    differences = np.abs(program.forward(read_golden(bundle)) - expected)
    worst = int(differences.argmax())  # a NaN counts as the largest
    if not differences[worst] <= manifest.golden.tolerance:
        raise BundleError(
            f"{path}: the runtime computes wrong results on this processor: for {manifest.golden.image} expected the "
            f"logit of {manifest.labels[worst]!r} within {manifest.golden.tolerance:.4g} of {expected[worst]:.4g}; "
            f"it is {differences[worst]:.4g} off"
        )


def _scale(image: Image, width: int, height: int) -> Image:
    pixels: NDArray[Any] = image
    while pixels.shape[1] >= 2 * width and pixels.shape[0] >= 2 * height:
        even = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
        pixels = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if pixels.shape[:2] != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(pixels)
