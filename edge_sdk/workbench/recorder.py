"""Making records: models run over labelled pictures in a fixed order; an interrupted run can be resumed."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.encode import encode
from edge_sdk.images.read import decode_image
from edge_sdk.model.big_reference import LABEL_MAP_CURE, label_difference
from edge_sdk.types import Image, Region, View
from edge_sdk.workbench.labelled import LabelledImage, Source
from edge_sdk.workbench.photo_classes import few, meaning_in
from edge_sdk.workbench.records import UNKNOWN, Records, from_logits, join
from edge_sdk.workbench.records_file import load_records, save_records
from edge_sdk.workbench.subjects import Subject, file_name, latency_ms
from edge_sdk.workbench.truths import NO_LABELS

_BATCH = 32


def run_subjects(
    subjects: Sequence[Subject],
    pictures: Iterable[LabelledImage],
    *,
    labels: tuple[str, ...] | None = None,
    unlabelled: bool = False,
    on_done: Callable[[int], None] | None = None,
) -> list[Records]:
    """Run models over the same labelled pictures; pictures without a label are skipped.

    Folders of ImageNet's classes may have any of their names (`edge_sdk.workbench.photo_classes`).

    Args:
        subjects: models with the same labels, in any order.
        pictures: what they are run on.
        labels: their order in the records; default: the first model's.
        unlabelled: keep pictures without a label too, and take folders that are no class for none.
        on_done: called with the number of pictures done.

    Raises:
        WorkbenchError: the models' labels differ, a picture is of another class, or no picture is labelled.
    """
    labels = labels or subjects[0].info.labels
    for subject in subjects:
        if set(subject.info.labels) != set(labels):
            raise WorkbenchError(
                f"expected models of the same labels ({few(labels)}); "
                f"{subject.info.model} has others: {label_difference(labels, subject.info.labels)}. {LABEL_MAP_CURE}"
            )
    meaning = meaning_in(labels, next((one.info.label_map for one in subjects if one.info.label_map), None))
    runs = [_Run(subject, labels) for subject in subjects]
    ids: list[str] = []
    truths: list[int] = []
    groups: list[str] = []
    sources: list[str] = []
    places: list[str] = []
    times: list[float] = []
    for picture in pictures:
        if picture.label is None and not unlabelled:
            continue
        label = meaning(picture.label)
        if label not in labels and not unlabelled:
            raise WorkbenchError(f"expected classes among {few(labels)}; got {picture.label!r} in {picture.source}")
        ids.append(picture.name or f"{len(ids):06d}")
        truths.append(labels.index(label) if label in labels else UNKNOWN)
        groups.append(picture.group)
        sources.append(picture.source)
        places.append(picture.place)
        times.append(picture.moved_at)
        for run in runs:
            run.add(picture.image, picture.region)
        if on_done is not None:
            on_done(len(ids))
    if not ids:
        raise WorkbenchError(NO_LABELS)
    visits = not np.isnan(times).all()
    known = groups if any(groups) else None, sources, places if visits else None, times if visits else None
    return [run.records(ids, truths, *known) for run in runs]


class _Run:
    """One model and its logits so far."""

    def __init__(self, subject: Subject, labels: tuple[str, ...]) -> None:
        self._subject = subject
        self._order = [subject.info.labels.index(label) for label in labels]
        self._info = msgspec.structs.replace(subject.info, labels=labels)
        self._waiting: list[Image] = []
        self._looks: list[tuple[int, int]] = []  # rows of a picture's first and last look
        self._rows = 0
        self._logits: list[NDArray[np.float32]] = []
        self._sizes: list[int] = []
        self._near: list[bool] = []

    def add(self, image: Image, region: Region | None) -> None:
        looks, size = self._subject.looks(image, region), 0
        for part, upload in looks:
            if upload is not None:
                data = encode(part, upload)
                size += len(data)
                part = decode_image(data).image
            self._waiting.append(self._subject.prepare(part))
        self._sizes.append(size)
        self._near.append(region is not None and self._subject.view is not View.FRAME)
        self._looks.append((self._rows, self._rows + len(looks) - 1))
        self._rows += len(looks)
        if not self._logits and not self._info.latency_ms:
            self._info = msgspec.structs.replace(self._info, latency_ms=latency_ms(self._subject, self._waiting[0]))
        if len(self._waiting) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._logits.append(self._subject.logits(self._waiting)[:, self._order])
            self._waiting = []

    def records(
        self,
        ids: list[str],
        truths: list[int],
        groups: list[str] | None,
        sources: list[str],
        places: list[str] | None,
        times: list[float] | None,
    ) -> Records:
        self._flush()
        sizes = self._sizes if self._subject.upload is not None else None
        logits = np.concatenate(self._logits)
        if self._subject.view is View.BOTH:
            logits = logits[np.array(self._looks)]
        return from_logits(self._info, ids, truths, logits, sizes, groups, sources, places, times, self._near)


def write_records(
    subjects: Sequence[Subject],
    source: Source,
    out: Path,
    *,
    on_part: Callable[[int, int], None] | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write the records of models on a source of pictures to `OUT/MODEL.npz`; an interrupted call is resumed.

    Args:
        subjects: models, of different names.
        source: labelled pictures.
        out: folder of the records.
        on_part: called with the parts of the source that are done, and of how many.
        on_done: called with the number of pictures done, and of how many at most.

    Raises:
        WorkbenchError: two models of one name, or as `run_subjects`.
    """
    names = [file_name(subject.info.model) for subject in subjects]
    if len(set(names)) != len(names):
        raise WorkbenchError(f"expected models of different names; got {', '.join(names)}")
    labels = subjects[0].info.labels  # the order in every part, whichever models are run for it
    timed: dict[str, float] = {}
    work = out / ".parts"
    paths = {name: out / f"{name}.npz" for name in names}
    todo = [
        (name, subject)
        for name, subject in zip(names, subjects, strict=True)
        if not _done(paths[name], subject, source)
    ]
    sizes = [source.size(part) for part in range(source.parts)]

    def tell(before: int, done: int) -> None:
        if on_done is not None:
            on_done(before + done, sum(sizes))

    for part in range(source.parts if todo else 0):
        before = sum(sizes[:part])
        missing = []
        for name, subject in todo:
            if not _part(work, name, source, subject, part).exists():
                missing.append((name, subject.timed(timed[name]) if name in timed else subject))
        if missing:
            pictures = list(source.read(part))
            labelled = any(picture.label is not None for picture in pictures)
            running = [one for _, one in missing]
            said: list[Records] | list[None] = [None] * len(missing)
            if labelled:
                said = run_subjects(running, pictures, labels=labels, on_done=partial(tell, before))
            for (name, subject), records in zip(missing, said, strict=True):
                path = _part(work, name, source, subject, part)
                path.parent.mkdir(parents=True, exist_ok=True)
                if records is None:
                    path.touch()
                else:
                    save_records(path, records)
                    timed[name] = records.info.latency_ms
        tell(before, sizes[part])
        if on_part is not None:
            on_part(part + 1, source.parts)
    for name, subject in todo:
        files = [_part(work, name, source, subject, part) for part in range(source.parts)]
        whole = [load_records(path) for path in files if path.stat().st_size]
        if not whole:
            raise WorkbenchError(NO_LABELS)
        records = join(whole)
        info = msgspec.structs.replace(records.info, data=_data(source, subject))
        save_records(paths[name], replace(records, info=info))
        shutil.rmtree(files[0].parent, ignore_errors=True)
    with contextlib.suppress(OSError):
        work.rmdir()  # unless another run has parts there
    return list(paths.values())


def _data(source: Source, subject: Subject) -> str:
    """Identifies the pictures that a model has seen, and their encoding."""
    pictures = sum(source.size(part) for part in range(source.parts))  # a simulated source's key does not tell
    return f"{source.key} {pictures} {_seen(subject, 'as they are')}"


def _seen(subject: Subject, plain: str) -> str:
    """What a model sees of each picture, in short."""
    seen = subject.upload.name if subject.upload else plain
    if subject.view is not View.FRAME:
        near = subject.region_upload.name if subject.upload and subject.region_upload else ""
        seen += f"-{subject.view}{near}"
    return seen


def _done(path: Path, subject: Subject, source: Source) -> bool:
    """Whether the records of this model on this source are on disk already."""
    if not path.exists():
        return False
    old, new = load_records(path).info, subject.info
    same = (old.macs, old.parameters, old.precision) == (new.macs, new.parameters, new.precision)
    same = same and old.label_map == new.label_map
    return same and old.data == _data(source, subject)


def _part(work: Path, name: str, source: Source, subject: Subject, part: int) -> Path:
    """File of a part of a model's records; differs by source, model and encoding."""
    info = subject.info
    seen = _seen(subject, "plain")
    if info.label_map:
        seen += f"-{hashlib.sha256(msgspec.json.encode(info.label_map, order='sorted')).hexdigest()[:8]}"
    return work / f"{name}-{info.macs}-{info.parameters}-{seen}-{source.key}" / f"{part:05d}-{source.size(part)}.npz"
