"""Networks as int8 bundles: export, size, and time and accuracy in the device's runtime."""

from __future__ import annotations

import copy
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge_sdk.model.bundle import Bundle, InputSpec
from edge_sdk.model.little import LittleModel
from edge_sdk.model.made_for import PHOTOS
from edge_sdk.networks.grouped import summed
from edge_sdk.networks.pruning.structure import shrink
from edge_sdk.types import Image, View
from edge_sdk.workbench.export import export
from edge_sdk.workbench.specialize.answers import OnDone
from edge_sdk.workbench.specialize.cost import Numbers
from edge_sdk.workbench.specialize.progress import OnProgress
from edge_sdk.workbench.specialize.samples import Samples, first

OF_BIG = "of the big model's time"
"""Key of the time relative to the bundle beside it."""

_RUNS = 40
_WARM_UP = 3
_FEW = 8  # pictures on which a shape is quantised whose answers do not matter


class Bundles:
    """Exports of one task: calibrated on its pictures, each in a folder of its own."""

    def __init__(
        self,
        samples: Samples,
        spec: InputSpec,
        allow: Sequence[str] = (),
        on_progress: OnProgress | None = None,
        *,
        sums: Sequence[int] = (),
        view: View = View.FRAME,
    ) -> None:
        """Export with these settings.

        Args:
            samples: of the task; their labels are the bundles'.
            spec: what the networks take.
            allow: operators that may stay outside XNNPACK though they are heavy.
            on_progress: told of each export's steps.
            sums: how many of the networks' outputs are summed into each label; empty: none.
            view: what of a frame the bundles are to look at.
        """
        self._sums, self._view = tuple(sums), view
        self._on_progress = on_progress
        self._samples, self._spec, self._allow = samples, spec, tuple(allow)

    def write(self, module: nn.Module, out: Path, name: str, version: str = "0", *, spare: bool = True) -> Bundle:
        """An int8 bundle, calibrated on the samples and their mirror images; `spare` and errors are `export`'s."""
        mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in self._samples.images]
        return self._export(module, [*self._samples.images, *mirrored], out, name, version, spare)

    def measure(self, module: nn.Module, numbers: Numbers, beside: Bundle | None = None) -> dict[str, float]:
        """Measure `ms` and `bytes` of a network cut to `numbers` channels; its weights do not matter.

        With a bundle beside it, also `OF_BIG`: its time relative to that bundle's. The two run in turns, so that a
        busy machine slows both.
        """
        shape = copy.deepcopy(module)
        shrink(shape, self._spec.width, self._spec.height, numbers)
        with tempfile.TemporaryDirectory() as folder:
            few = list(first(self._samples, _FEW).images)
            bundle = self._export(shape, few, Path(folder) / "shape", "shape", "0", False)
            times = time_bundles({"shape": bundle} if beside is None else {"shape": bundle, "beside": beside})
            found = {"ms": times["shape"], "bytes": float(bundle.model_path.stat().st_size)}
        if beside is not None:
            found[OF_BIG] = times["shape"] / times["beside"]
        return found

    def _export(
        self, module: nn.Module, pictures: list[Image], out: Path, name: str, version: str, spare: bool
    ) -> Bundle:
        return export(
            summed(module, self._sums),
            pictures,
            out,
            labels=self._samples.labels,
            input=self._spec,
            name=name,
            version=version,
            made_for=PHOTOS,
            view=self._view,
            allow=self._allow,
            effort="best" if spare else "fast",
            spare=spare,
            on_progress=self._tell,
        ).bundle

    def _tell(self, what: str, done: int, of: int) -> None:
        if self._on_progress is not None:
            self._on_progress(f"export: {what}", done, of)


def time_bundles(bundles: Mapping[str, Bundle]) -> dict[str, float]:
    """Time of one forward pass of each, milliseconds, one thread, in the device's runtime.

    They run in turns, and the fastest run of each counts: on a busy machine, other programs can double the time of the
    slower runs.
    """
    models = {name: LittleModel(bundle) for name, bundle in bundles.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    try:
        pictures = {
            name: np.zeros((model.manifest.input.height, model.manifest.input.width, 3), np.uint8)
            for name, model in models.items()
        }
        for _ in range(_WARM_UP + _RUNS):
            for name, model in models.items():
                start = time.perf_counter()
                model.logits(pictures[name])
                times[name].append(time.perf_counter() - start)
    finally:
        for model in models.values():
            model.close()
    return {name: 1e3 * min(values[_WARM_UP:]) for name, values in times.items()}


def bundle_accuracy(bundle: Bundle, test: Samples) -> float:
    """Share of prepared pictures that a bundle answers rightly, in the device's runtime."""
    return float(right_of_bundle(bundle, test).mean())


def right_of_bundle(bundle: Bundle, test: Samples, on_done: OnDone | None = None) -> NDArray[np.bool_]:
    """Which prepared pictures a bundle names rightly in the device's runtime, `bool (P,)`; as `bundle_logits`."""
    return test.right(bundle_logits(bundle, test, on_done))


def bundle_logits(bundle: Bundle, samples: Samples, on_done: OnDone | None = None) -> NDArray[np.float32]:
    """Logits `float32 (N, C)` of a bundle on prepared pictures, in the device's runtime.

    `on_done` is called with the pictures done, and of how many.
    """
    rows = []
    with LittleModel(bundle) as model:
        for image in samples.images:
            rows.append(model.logits(image))
            if on_done is not None:
                on_done(len(rows), len(samples))
    return np.stack(rows)


def packed_bytes(bundle: Bundle) -> int:
    """Size of `model.pte` after zlib compression, bytes; zero weights make it smaller."""
    return len(zlib.compress(bundle.model_path.read_bytes(), 9))
