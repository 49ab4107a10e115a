"""A device's bundle as the big model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud_server.model.ticket import Little
from edge_sdk.model.inputs import prepare
from edge_sdk.model.little import LittleModel
from edge_sdk.types import Image


class BundleModel:
    """A device's bundle as the big model, run picture by picture on the device's own runtime.

    Raises:
        BundleError: the bundle is damaged or computes wrong results here.
        RuntimeMissing: there is no ExecuTorch runtime.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        self._model = LittleModel(path, threads=threads)
        manifest = self._model.manifest
        self.name = manifest.name
        self.labels = manifest.labels
        self.input_width, self.input_height = manifest.input.width, manifest.input.height
        self.macs, self.parameters = manifest.macs, manifest.parameters
        self.device = f"cpu, {manifest.precision}"

    @property
    def fingerprint(self) -> str:
        """The manifest, with the program's sha256, and the temperature."""
        return f"{self._model.manifest!r} {self._model.bundle.policy.temperature!r}"

    def prepare(self, image: Image) -> Image:
        """Bring a picture to the input size by the bundle's rule."""
        return prepare(image, self._model.manifest.input)

    def run(self, images: Sequence[Image], little: Sequence[Little]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Classify N prepared pictures; the little model's probabilities are not used."""
        rows = np.stack([self._model.predict(image).probabilities for image in images])
        return rows, np.full(len(images), self.macs, np.int64)
