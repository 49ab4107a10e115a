"""The pictures of a task: the few to specialize on, those to evaluate on, and the map of the classes' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.types import View
from edge_sdk.workbench.looks import Finding
from edge_sdk.workbench.pseudo_labels import choose, is_archive, read_pseudo_labels
from edge_sdk.workbench.specialize.picture_looks import PictureLooks
from edge_sdk.workbench.specialize.samples import Samples, class_files, draw_shots, read_samples
from edge_sdk.workbench.twins import Place

MOST_TEST = 3000
"""Test pictures beyond which a sample is drawn, the same number of each class."""


@dataclass(frozen=True, slots=True)
class Task:
    """The pictures of a task.

    Attributes:
        samples: the pictures to specialize on.
        rest: files of each class that are not among them.
        left_out: classes with too few pictures.
        used: files of each class that the samples are made of.
        looks: what is looked at in them; None: the whole pictures.
    """

    samples: Samples
    rest: dict[str, list[Path]]
    left_out: tuple[str, ...] = ()
    used: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    looks: PictureLooks | None = None


def read_task(
    folder: Path,
    shots: int,
    spec: InputSpec,
    *,
    classes: Sequence[str] | None = None,
    min_confidence: float = 0.8,
    seed: int = 0,
    view: View = View.FRAME,
    finding: Finding | None = None,
) -> Task:
    """Draw `shots` pictures of each class from class folders, or from what `cloud-server --archive` wrote.

    Args:
        folder: one folder for each class, a CSV of files and labels, or the server's folder with `answers.jsonl` or
            `answers.csv`.
        shots: pictures of each class.
        spec: what the network takes.
        classes: the task's classes; default: all.
        min_confidence: of the cloud's answers that are used as labels, in [0, 1].
        seed: of the draw.
        view: what of a picture is looked at: with `BOTH` the surroundings of a region are a sample beside the whole.
        finding: how regions are found, as in `PictureLooks`.

    Raises:
        WorkbenchError: a class is missing, or has fewer pictures; or as `PictureLooks`.
    """
    looks = PictureLooks(folder, view, spec, finding)
    if is_archive(folder):
        chosen = choose(read_pseudo_labels(folder, min_confidence=min_confidence), shots, classes, seed)
        few = {name: paths for name, paths in chosen.items() if len(paths) >= shots}
        left_out = tuple(sorted(set(chosen) - set(few)))
        if len(few) < 2 or (classes and left_out):
            counts = ", ".join(f"{name} {len(paths)}" for name, paths in chosen.items()) or "none"
            raise WorkbenchError(
                f"expected {shots} frames of two classes or more that the cloud was sure of; got {counts}. Ask for "
                "fewer shots, a lower --min-confidence, or other --classes"
            )
        return Task(read_samples(few, spec, looks.of), {}, left_out, few, looks)
    files = class_files(folder)
    if classes:
        if absent := [name for name in classes if name not in files]:
            raise WorkbenchError(f"expected classes among {', '.join(files)}; got {', '.join(absent)}")
        files = {name: files[name] for name in classes}
    used, rest = draw_shots(files, shots, seed)
    return Task(read_samples(used, spec, looks.of), rest, (), used, looks)


def read_test(
    task: Task,
    folder: Path | None,
    spec: InputSpec,
    seed: int = 0,
    *,
    view: View = View.FRAME,
    finding: Finding | None = None,
) -> Samples | None:
    """Pictures to evaluate on, as many of each class as there are, at most `MOST_TEST`; None where there are none.

    Args:
        task: gives the classes, and the pictures where `folder` is None.
        folder: one folder for each class.
        spec: what the network takes.
        seed: of the draw.
        view: as for `read_task`.
        finding: as for `read_task`.

    Raises:
        WorkbenchError: a class has no pictures in `folder`.
    """
    files = _test_files(task, folder, seed)
    if not any(files.values()):
        return None
    looks = task.looks if folder is None else PictureLooks(folder, view, spec, finding)
    return read_samples(files, spec, None if looks is None else looks.of)


def task_places(task: Task, folder: Path | None, seed: int = 0) -> list[Place]:
    """The files of the samples and of the test pictures, each with its class; arguments as for `read_test`."""
    parts = (("task", task.used), ("test", _test_files(task, folder, seed)))
    return [Place(path, part, label) for part, files in parts for label, paths in files.items() for path in paths]


def _test_files(task: Task, folder: Path | None, seed: int) -> dict[str, list[Path]]:
    labels = task.samples.labels
    files: Mapping[str, Sequence[Path]] = task.rest
    if folder is not None:
        files = class_files(folder)
        if absent := [name for name in labels if name not in files]:
            raise WorkbenchError(f"expected test pictures of each class; none of {', '.join(absent)} in {folder}")
        files = {name: files[name] for name in labels}
    most = max(1, MOST_TEST // len(labels))
    return {name: draw_shots({name: paths}, min(most, len(paths)), seed)[0][name] for name, paths in files.items()}
