"""Models that records are made of, opened by name: a bundle, a checkpoint, a timm network or a Python function."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.close_up import close_up
from edge_sdk.images.rendition import Upload
from edge_sdk.model.big_reference import fingerprint_of
from edge_sdk.model.bundle import MANIFEST_FILE, InputSpec, shipped_bundles
from edge_sdk.model.inputs import prepare
from edge_sdk.model.little import LittleModel
from edge_sdk.networks.model_name import is_file_name, join_name, plain_name, split_name
from edge_sdk.types import Image, Region, View
from edge_sdk.workbench.records import RecordsInfo

if TYPE_CHECKING:
    from torch import nn

    from edge_sdk.networks.checkpoint import CheckpointInfo

_TIMED_RUNS = 30
_WARM_UP = 3


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model of which records can be made.

    Attributes:
        info: its description.
        prepare: resizes a picture to the model's input.
        logits: maps N prepared pictures to `float32 (N, C)`.
        upload: encoding through which the model sees each picture; None: the picture itself.
        input: the input specification; None: unknown.
        view: what of a picture it looks at; of a model with an `upload`, what of it is sent.
        region_upload: encoding of a region's surroundings; None: as `upload`.
    """

    info: RecordsInfo
    prepare: Callable[[Image], Image]
    logits: Callable[[Sequence[Image]], NDArray[np.float32]]
    upload: Upload | None = None
    input: InputSpec | None = None
    view: View = View.FRAME
    region_upload: Upload | None = None

    def looks(self, image: Image, region: Region | None) -> list[tuple[Image, Upload | None]]:
        """What of a picture the model sees: one or two parts of it, each with its encoding.

        Without a region that is the whole picture. The parts are those of `LittleModel.looks` and, of what is sent, of
        the device's admission.
        """
        whole = image, self.upload
        if region is None or self.view is View.FRAME:
            return [whole]
        height, width = image.shape[:2]
        upload = self.upload and (self.region_upload or self.upload)
        proportions = (width, height) if self.input is None else (self.input.width, self.input.height)
        if upload is not None:
            proportions = upload.crop or (width, height)
        near = close_up(region, width, height, *proportions).of(image)
        return [whole, (near, upload)] if self.view is View.BOTH else [(near, upload)]

    def timed(self, latency_ms: float) -> Subject:
        """The same model with a known latency, which is not measured again."""
        return replace(self, info=msgspec.structs.replace(self.info, latency_ms=latency_ms))

    def looking_at(self, view: View, region_upload: Upload | None = None) -> Subject:
        """The same model with another view, and the encoding of what is sent of it."""
        info = msgspec.structs.replace(self.info, view=view.value)
        return replace(self, info=info, view=view, region_upload=region_upload)

    def served_as(self, model: str, fingerprint: str | None = None) -> Subject:
        """The same model with what `cloud-server --model` takes to serve it, and the fingerprint of its file."""
        seen = self.info.fingerprint if fingerprint is None else fingerprint
        return replace(self, info=msgspec.structs.replace(self.info, served_as=model, fingerprint=seen))


def open_subject(
    name: str,
    *,
    pretrained: bool = False,
    threads: int = 1,
    upload: Upload | None = None,
    label_map: Mapping[str, str] | None = None,
    view: View | None = None,
) -> Subject:
    """A model by name: a bundle (run in the device's runtime), a checkpoint, or a timm name.

    Args:
        name: folder of a bundle or the name of one that ships, path of a checkpoint or of other weights (see
            `edge_sdk.networks.checkpoint.create_model`), or timm's name.
        pretrained: load timm's pretrained weights; only for a timm name.
        threads: of a bundle's runtime.
        upload: the model sees pictures after this encoding, as a server does.
        label_map: from the model's labels to coarser ones, as a server's.
        view: what of a picture it looks at; None: what a bundle's manifest says, of others the frame.

    Raises:
        BundleError: a bundle that cannot be opened.
        WorkbenchError: no bundle, checkpoint or timm model has that name.
        ConfigError: the label map names a label that the model does not have.
    """
    subject = _open(name, pretrained, threads, upload)
    subject = subject if view is None else subject.looking_at(view)
    return subject if not label_map else with_label_map(subject, label_map)


def with_label_map(subject: Subject, mapping: Mapping[str, str]) -> Subject:
    """The same model, whose fine labels are led to coarser ones: their probabilities are summed, as a server does.

    Raises:
        ConfigError: the map names a label that the model does not have.
    """
    from edge_sdk.networks.label_map import make_label_map

    grouped = make_label_map(subject.info.labels, dict(mapping))

    def logits(images: Sequence[Image]) -> NDArray[np.float32]:
        fine = subject.logits(images).astype(np.float64)
        coarse = np.full((len(grouped.labels), len(fine)), -np.inf)
        np.logaddexp.at(coarse, grouped.index, fine.T)  # the logits whose softmax is the sum of the fine ones'
        return coarse.T.astype(np.float32)

    info = msgspec.structs.replace(subject.info, labels=grouped.labels, label_map=dict(mapping))
    return replace(subject, info=info, logits=logits)


def is_bundle(name: str) -> bool:
    """Whether a model's name is that of a bundle: a folder with a manifest, or one that ships."""
    return name in shipped_bundles() or (Path(name) / MANIFEST_FILE).is_file()


def as_they_arrive(
    names: Sequence[str],
    subjects: Sequence[Subject],
    upload: Upload,
    *,
    send: View = View.FRAME,
    region_upload: Upload | None = None,
) -> list[Subject]:
    """The models of one cascade, each with the pictures that it sees: on the device as taken, elsewhere as sent.

    Bundles run on the device. Where there is none, or nothing else, the model with the fewest MACs does; a network
    that is alone does not.

    Args:
        names: with which they were opened.
        subjects: the models.
        upload: how pictures are sent.
        send: what of a picture with a region is sent.
        region_upload: how a region's surroundings are sent; None: as `upload`.
    """
    little = [is_bundle(name) for name in names]
    if len(little) > 1 and len(set(little)) == 1:
        fewest = min(range(len(little)), key=lambda number: subjects[number].info.macs)
        little = [number == fewest for number in range(len(little))]
    sent = [replace(one.looking_at(send, region_upload), upload=upload) for one in subjects]
    return [replace(one, upload=None) if own else away for one, away, own in zip(subjects, sent, little, strict=True)]


def check_names(names: Sequence[str], subjects: Sequence[Subject]) -> None:
    """Check that no two models have one name, which the files of their records would share.

    Args:
        names: with which they were opened.
        subjects: the models.

    Raises:
        WorkbenchError: two have; the message says which, and whether they are the same.
    """
    first: dict[str, int] = {}
    for number, subject in enumerate(subjects):
        known = first.setdefault(file_name(subject.info.model), number)
        if known == number:
            continue
        same = subject.info.fingerprint and subject.info.fingerprint == subjects[known].info.fingerprint
        what = "are the same model" if same else f"are both called {subject.info.model}: rename one"
        raise WorkbenchError(f"expected models of different names; {names[known]} and {names[number]} {what}")


def _open(name: str, pretrained: bool, threads: int, upload: Upload | None) -> Subject:
    if is_bundle(name):
        bundle = bundle_subject(LittleModel(name, threads=threads), upload=upload)
        return bundle if name in shipped_bundles() else bundle.served_as(str(Path(name).absolute()))
    from edge_sdk.networks.checkpoint import create_model

    module, info = create_model(name, pretrained=pretrained)
    if is_file_name(name):
        arch, file = split_name(name)
        path = Path(file).absolute()
        subject = torch_subject(module, info, plain_name(name), upload=upload)
        return subject.served_as(join_name(arch, path), fingerprint_of(path))
    subject = torch_subject(module, info, name, upload=upload)
    return subject.served_as(name) if pretrained else subject


def bundle_subject(model: LittleModel, *, upload: Upload | None = None) -> Subject:
    """A bundle in the device's runtime."""
    manifest = model.manifest
    info = RecordsInfo(
        model=f"{manifest.name}-{manifest.precision}",
        labels=manifest.labels,
        macs=manifest.macs,
        parameters=manifest.parameters,
        width=manifest.input.width,
        height=manifest.input.height,
        precision=manifest.precision,
        runtime=model.runtime,
        fingerprint=manifest.sha256[:16],
        view=manifest.view,
    )
    spec = manifest.input

    def logits(images: Sequence[Image]) -> NDArray[np.float32]:
        return np.stack([model.logits(image) for image in images])

    return Subject(info, lambda image: prepare(image, spec), logits, upload, spec, View(manifest.view))


def torch_subject(module: nn.Module, checkpoint: CheckpointInfo, name: str, *, upload: Upload | None = None) -> Subject:
    """A network in torch, float32 on the CPU."""
    import torch

    from edge_sdk.workbench.tensors import to_tensor

    if not checkpoint.labels:
        raise WorkbenchError(f"{name}: expected a model with labels; it has none")
    info = RecordsInfo(
        model=name,
        labels=checkpoint.labels,
        macs=checkpoint.macs,
        parameters=checkpoint.parameters,
        width=checkpoint.input.width,
        height=checkpoint.input.height,
        precision="fp32",
        runtime=f"torch {torch.__version__}, {torch.get_num_threads()} threads",
    )

    def logits(images: Sequence[Image]) -> NDArray[np.float32]:
        with torch.inference_mode():
            result: NDArray[np.float32] = module(to_tensor(np.stack(images), checkpoint.input)).float().numpy()
        return result

    return Subject(info, lambda image: prepare(image, checkpoint.input), logits, upload, checkpoint.input)


def callable_subject(
    name: str,
    function: Callable[[NDArray[np.uint8]], NDArray[np.floating]],
    labels: Sequence[str],
    spec: InputSpec,
    *,
    macs: int = 0,
    parameters: int = 0,
) -> Subject:
    """Any Python function from `uint8 (N, height, width, 3)` RGB to `(N, C)` logits."""
    info = RecordsInfo(
        model=name, labels=tuple(labels), macs=macs, parameters=parameters, width=spec.width, height=spec.height
    )

    def logits(images: Sequence[Image]) -> NDArray[np.float32]:
        return np.asarray(function(np.stack(images)), np.float32)

    return Subject(info, lambda image: prepare(image, spec), logits, input=spec)


def latency_ms(subject: Subject, picture: Image) -> float:
    """Median time of one prepared picture (batch 1), milliseconds."""
    times = []
    for _ in range(_WARM_UP + _TIMED_RUNS):
        start = time.perf_counter()
        subject.logits([picture])
        times.append(time.perf_counter() - start)
    return round(1000 * float(np.median(times[_WARM_UP:])), 4)


def file_name(model: str) -> str:
    """A model's name as the name of a file."""
    return re.sub(r"[^\w.-]+", "_", model).strip("._") or "model"
