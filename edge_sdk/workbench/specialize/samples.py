"""The few pictures of a task, prepared for the network's input."""

from __future__ import annotations

import difflib
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from edge_sdk.errors import ImageError, WorkbenchError
from edge_sdk.images.read import read_image
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.inputs import prepare
from edge_sdk.types import Image
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.cascade.confidence import softmax
from edge_sdk.workbench.photo_list import is_list, photos_in, picture_files
from edge_sdk.workbench.tensors import to_tensor

_MOST_VIEWS = 16
Look = Callable[[Path], Sequence[Image]]
"""From a file to one picture or several of which a network is to answer the mean; it may raise `ImageError`."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Prepared pictures.

    Attributes:
        images: `uint8 (N, height, width, 3)`, RGB.
        truths: `int64 (N,)`, index of each one's class in `labels`; -1 if unknown.
        labels: class names.
        pictures: `int64 (N,)`, rising from 0: the picture that each is a look at; None: each is a picture.
    """

    images: NDArray[np.uint8]
    truths: NDArray[np.int64]
    labels: tuple[str, ...]
    pictures: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self) if self.pictures is None else len(np.unique(self.pictures))

    def right(self, logits: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which pictures are named rightly, `bool (P,)`: by the mean of the probabilities of each one's looks.

        Args:
            logits: `(N, C)`.
        """
        if self.pictures is None:
            return np.asarray(logits.argmax(axis=1) == self.truths)
        _, firsts = np.unique(self.pictures, return_index=True)
        means = np.add.reduceat(softmax(logits), firsts)  # their sums have the same order
        return np.asarray(means.argmax(axis=1) == self.truths[firsts])

    def batches(self, spec: InputSpec, size: int = 32) -> Iterator[Tensor]:
        """The network's inputs in order, `float32 (n, 3, height, width)`, n at most `size`."""
        for start in range(0, len(self.images), size):
            yield to_tensor(self.images[start : start + size], spec)


def class_files(folder: str | Path) -> dict[str, list[Path]]:
    """Pictures by class: `folder/CLASS/**`, or those of a CSV; sorted by name. A class may be a link to a folder.

    Raises:
        WorkbenchError: no such folder, or fewer than two classes in it.
    """
    root = Path(folder)
    found: dict[str, list[Path]] = {}
    if is_list(str(root)) and not root.is_dir():
        for photo in photos_in(root):
            if photo.label is not None:
                found.setdefault(photo.label, []).append(photo.path)
        found = dict(sorted(found.items()))
    elif not root.is_dir():
        raise WorkbenchError(f"expected a folder with one folder of pictures for each class; there is no {root}")
    else:
        for inner in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
            if pictures := picture_files(inner):
                found[inner.name] = pictures
    if len(found) < 2:
        raise WorkbenchError(
            f"expected two classes or more, each a folder of pictures in {root}; got {', '.join(found) or 'none'}"
        )
    return found


def draw_shots(
    files: Mapping[str, Sequence[Path]], shots: int, seed: int
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Draw `shots` pictures of each class by a hash of seed and name; returns the drawn pictures and the others.

    The same seed draws the same pictures on any machine, and fewer shots draw a subset of them.

    Raises:
        WorkbenchError: a class has fewer than `shots` pictures; the message names all such classes.
    """
    few = {name: len(paths) for name, paths in files.items() if len(paths) < shots}
    if few:
        counts = ", ".join(f"{name} has {number}" for name, number in few.items())
        raise WorkbenchError(
            f"expected {shots} pictures of each class; {counts}. Add pictures, ask for fewer shots, or leave the "
            f"class{'es' * (len(few) > 1)} out"
        )

    def rank(path: Path) -> bytes:
        return hashlib.sha256(f"{seed} {path.parent.name}/{path.name}".encode()).digest()

    ranked = {name: sorted(paths, key=rank) for name, paths in files.items()}
    return (
        {name: paths[:shots] for name, paths in ranked.items()},
        {name: paths[shots:] for name, paths in ranked.items()},
    )


def read_samples(files: Mapping[str, Sequence[Path]], spec: InputSpec, look: Look | None = None) -> Samples:
    """Read and prepare pictures by class, as the device prepares its frames; unreadable files are logged and skipped.

    Args:
        files: by class.
        spec: what the network takes.
        look: gives what is looked at in each; None: the whole picture.

    Raises:
        WorkbenchError: none can be read.
    """
    images: list[Image] = []
    truths: list[int] = []
    pictures: list[int] = []
    for index, paths in enumerate(files.values()):
        for path in paths:
            try:
                looks = [read_image(path).image] if look is None else look(path)
            except ImageError as error:
                _log.warning("left out: %s", error)
                continue
            number = pictures[-1] + 1 if pictures else 0
            for image in looks:
                images.append(prepare(image, spec))
                truths.append(index)
                pictures.append(number)
    if not images:
        raise WorkbenchError("expected pictures that can be read; got none")
    several = len(set(pictures)) < len(pictures)
    looked_at = np.array(pictures, np.int64) if several else None
    return Samples(np.stack(images), np.array(truths, np.int64), tuple(files), looked_at)


def read_unlabelled(folder: str | Path, count: int, spec: InputSpec, seed: int, *, fewer: bool = False) -> Samples:
    """Draw `count` pictures from anywhere below a folder by a hash of seed and name; their truths are -1.

    With `fewer`, all of a folder that has fewer.

    Raises:
        WorkbenchError: the folder has fewer pictures; with `fewer`, none.
    """
    root = Path(folder)
    paths = picture_files(root)
    if len(paths) < (1 if fewer else count):
        wanted = f"pictures in {root}" if fewer else f"{count} pictures in {root}, as many as the task has"
        raise WorkbenchError(f"expected {wanted}; got {len(paths)}")
    paths.sort(key=lambda path: hashlib.sha256(f"{seed} {path.relative_to(root).as_posix()}".encode()).digest())
    found = read_samples({"": paths[:count]}, spec)
    return Samples(found.images, np.full(len(found), -1, np.int64), ())


def with_views(samples: Samples, count: int, seed: int) -> Samples:
    """The samples in random order, followed by augmented views: about `count` in all, at most 16 of each sample.

    Weights solved on a few pictures alone would fit their noise; augmented views prevent that.
    """
    change, rng = Augmentation(), np.random.default_rng([seed, 9])
    rounds = min(_MOST_VIEWS, round(count / len(samples))) - 1
    order = rng.permutation(len(samples))
    images, truths = samples.images[order], samples.truths[order]
    views = [np.stack([change.apply(image, rng) for image in images]) for _ in range(rounds)]
    return Samples(np.concatenate([images, *views]), np.tile(truths, len(views) + 1), samples.labels)


def joined(samples: Samples, unlabelled: Samples | None) -> Samples:
    """The samples, followed by others whose class is unknown."""
    if unlabelled is None:
        return samples
    unknown = np.full(len(unlabelled), -1, np.int64)
    return Samples(
        np.concatenate([samples.images, unlabelled.images]), np.concatenate([samples.truths, unknown]), samples.labels
    )


def first(samples: Samples, count: int) -> Samples:
    """The first `count` samples, or all if there are fewer."""
    return Samples(samples.images[:count], samples.truths[:count], samples.labels)


def members_of(task: Sequence[str], labels: Sequence[str], mapping: Mapping[str, str]) -> tuple[tuple[int, ...], ...]:
    """For each class of the task, the indices of the big model's classes that belong to it.

    Args:
        task: class names of the task.
        labels: the big model's.
        mapping: the big model's class -> the task's ("red fox": "fox"), as a server's label map; a class without an
            entry is mapped as "*", or to itself.

    Raises:
        WorkbenchError: the big model lacks a class of the task (the message gives similar names), or a class that the
            mapping names.
    """
    strange = [name for name in mapping if name not in labels and name != "*"]
    if strange:
        raise WorkbenchError(f"expected classes of the big model in the label map; it has no {_close(strange, labels)}")
    members = {
        name: tuple(i for i, fine in enumerate(labels) if mapping.get(fine, mapping.get("*", fine)) == name)
        for name in task
    }
    unknown = [name for name, found in members.items() if not found]
    if unknown:
        raise WorkbenchError(
            f"expected classes that the big model knows; it has no {_close(unknown, labels)}. Rename the folders, or "
            f'say with a label map what they are: {{"red fox": "fox"}}'
        )
    return tuple(members.values())


def _close(names: Sequence[str], labels: Sequence[str]) -> str:
    parts = []
    for name in names[:5]:
        close = difflib.get_close_matches(name, labels, n=3, cutoff=0.5)
        parts.append(f"{name!r}" + (f" (close: {', '.join(close)})" if close else ""))
    return ", ".join(parts) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
