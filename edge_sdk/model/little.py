"""The little model: a picture in, class probabilities out.

A runtime runs the network (`edge_sdk.model.network`); this module chooses the picture, or its part around a region, and
turns logits into probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import BundleError, EdgeError
from edge_sdk.images.close_up import close_up
from edge_sdk.model.bundle import Bundle, Manifest, Task, open_bundle
from edge_sdk.model.inputs import prepare as prepare
from edge_sdk.model.network import Network
from edge_sdk.model.runtime import Runtime
from edge_sdk.types import Image, Prediction, Region, View, check_pixels

_Run = Callable[[Image], NDArray[np.float32]]


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
        if (task := self.manifest.task) is not Task.CLASSIFY:
            raise BundleError(
                f"{self.bundle.path}: expected the bundle of a classifier; its manifest says task {task.value!r} "
                "(EdgeClassifier(detector=BundleDetector(...)) takes a detector)"
            )
        policy = self.bundle.policy
        self._temperatures = {near: np.float32(policy.of_look(near).temperature) for near in (False, True)}
        network = Network(self.bundle, threads=threads, runtime=runtime)
        self._runtime = network.runtime
        self._run: _Run | None = network.run

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
        return self._runtime

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
        if self._run is None:
            raise EdgeError("expected an open model; this LittleModel was closed")
        return self._run(image)

    def predict(self, image: Image, region: Region | None = None, view: View | None = None) -> Prediction:
        """Class probabilities of one picture: of each look the softmax of the logits over the policy's temperature.

        Args:
            image: `uint8 (H, W, 3)` RGB.
            region: where something moved, within the picture; None: the picture is seen whole.
            view: what is looked at; None: what the manifest says.

        Raises:
            ImageError: `image` is not `uint8 (H, W, 3)`.
            EdgeError: the model is closed.
        """
        return self.predict_looks(self.looks(image, region, view), near=self.looks_near(region, view))

    def looks(self, image: Image, region: Region | None = None, view: View | None = None) -> tuple[Image, ...]:
        """What of a frame goes through the network, one pass each: the whole, the region's close-up, or both.

        The arguments are those of `predict`. A close-up is a view of `image`. Where it is the whole picture there is
        one look.

        Raises:
            ImageError: `image` is not `uint8 (H, W, 3)`.
        """
        view = View(self.manifest.view) if view is None else view
        if region is None or view is View.FRAME:
            return (image,)
        height, width = check_pixels(image).shape[:2]
        part = close_up(region, width, height, self.manifest.input.width, self.manifest.input.height)
        near = part.of(image)
        return (image, near) if view is View.BOTH and near.shape != image.shape else (near,)

    def looks_near(self, region: Region | None, view: View | None = None) -> bool:
        """Whether the region is among what `looks` gives: the policy may have another rule for such frames."""
        return region is not None and (View(self.manifest.view) if view is None else view) is not View.FRAME

    def predict_looks(self, looks: Sequence[Image], *, near: bool = False) -> Prediction:
        """The mean of the class probabilities of one or more pictures.

        Args:
            looks: each `uint8 (H, W, 3)` RGB.
            near: a region is among them.

        Raises:
            ImageError: one is not such a picture.
            EdgeError: the model is closed.
        """
        total, energy = np.zeros(len(self.labels), np.float32), 0.0
        temperature = self._temperatures[near]
        for image in looks:
            logits = self.logits(image)
            energy += float(np.logaddexp.reduce(logits))
            scaled = logits / temperature
            weights = np.exp(scaled - scaled.max())
            total += weights / weights.sum()
        return Prediction(self.labels, total / np.float32(len(looks)), energy / len(looks))

    def close(self) -> None:
        """Free the network's memory. May be called again."""
        self._run = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
