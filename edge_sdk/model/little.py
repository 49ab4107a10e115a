"""The little model: a picture in, class probabilities out.

The network runs in `edge_sdk._native`, ExecuTorch's C++ runtime. Where the package was installed without a compiler it
runs in the official `executorch` package instead, which computes the same and loads torch.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import BundleError, ConfigError, EdgeError, RuntimeMissing
from edge_sdk.images.geometry import centre_crop
from edge_sdk.model.bundle import Bundle, InputSpec, Manifest, open_bundle, read_golden
from edge_sdk.types import Image, Prediction, check_image

_log = logging.getLogger(__name__)

_Triple = tuple[float, float, float]


class Program(Protocol):
    """A loaded network: `edge_sdk._native.Program`, or what stands in for it."""

    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def outputs(self) -> int: ...  # noqa: D102

    def forward(self, pixels: Image) -> NDArray[np.float32]:
        """Logits `float32 (outputs,)` of `uint8 (height, width, 3)` RGB pixels."""


_ProgramClass = Callable[[str, _Triple, _Triple, int], Program]


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

    Raises:
        BundleError: the bundle is missing or damaged, does not fit its program, or this processor computes wrong
            results (the golden picture's output differs).
        ConfigError: `threads` cannot be had.
        RuntimeMissing: neither the compiled runtime nor the executorch package is installed.
    """

    def __init__(self, bundle: Bundle | str | Path, *, threads: int = 1) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        self.threads = threads
        path, spec = self.bundle.model_path, self.manifest.input
        try:
            program = _program_class()(str(path), spec.mean, spec.std, threads)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        except RuntimeError as error:
            raise BundleError(f"{path}: expected a program that the runtime can load; got: {error}") from error
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
        """What runs it here: "native" (`edge_sdk._native`) or "executorch" (the Python package)."""
        return "executorch" if isinstance(self._program, ExecutorchProgram) else "native"

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


class ExecutorchProgram:
    """The network in the official executorch package; the arguments are those of `edge_sdk._native.Program`.

    The package does not tell a program's memory format. It must be channels-last, as the exporter writes it; the golden
    picture catches any other. The package's thread pool is one per process: `threads` resizes it.
    """

    def __init__(self, path: str, mean: _Triple, std: _Triple, threads: int = 1) -> None:
        torch: Any = importlib.import_module("torch")
        runtime: Any = importlib.import_module("executorch.runtime")
        pool: Any = importlib.import_module("executorch.extension.pybindings.portable_lib")
        if threads < 1:
            raise ValueError(f"threads: expected 1 or more; got {threads}")
        pool._unsafe_reset_threadpool(threads)
        self._from_numpy: Any = torch.from_numpy
        self._loaded = runtime.Runtime.get().load_program(path)  # kept: the method runs in its memory
        self._method = self._loaded.load_method("forward")
        if self._method is None:
            raise RuntimeError(f'expected a method "forward"; got {sorted(self._loaded.method_names)}')
        sizes = tuple(self._method.metadata.input_tensor_meta(0).sizes())
        if len(sizes) != 4 or sizes[:2] != (1, 3):
            raise RuntimeError(f"expected an input of shape (1, 3, H, W); got {sizes}")
        self.height, self.width = sizes[2:]
        self.outputs = int(np.prod(self._method.metadata.output_tensor_meta(0).sizes()))
        self._scale = np.array([1 / (255 * s) for s in std], np.float32)
        self._shift = np.array([-m / s for m, s in zip(mean, std, strict=True)], np.float32)

    def forward(self, pixels: Image) -> NDArray[np.float32]:
        """Logits `float32 (outputs,)` of `uint8 (height, width, 3)` RGB pixels."""
        # The transposed view keeps the pixels' memory order, which is torch's channels-last format.
        tensor = self._from_numpy((pixels * self._scale + self._shift)[np.newaxis]).permute(0, 3, 1, 2)
        logits: NDArray[np.float32] = self._method.execute([tensor])[0].numpy()
        return logits.reshape(-1).copy()


def _program_class() -> _ProgramClass:
    try:
        native = importlib.import_module("edge_sdk._native")
        return cast(_ProgramClass, native.Program)
    except ImportError as error:
        missing = error
    try:
        importlib.import_module("executorch.runtime")
    except ImportError as error:
        raise RuntimeMissing(
            f"expected the compiled module edge_sdk._native or the executorch package; got neither "
            f"({missing}; {error}). "
            'Either `pip install ".[runtime]"`, or install a C++ compiler (g++) and install the checkout again'
        ) from missing
    _log.warning("running on the executorch package, which loads torch: %s", missing)
    return ExecutorchProgram


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
