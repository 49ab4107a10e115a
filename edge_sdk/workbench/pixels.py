"""A source's pictures at a network's input size, cached on disk: each is decoded or rendered once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.model.inputs import InputSpec, prepare
from edge_sdk.types import Image
from edge_sdk.workbench.labelled import Source

OnPart = Callable[[int, int], None]
"""Called with the number of parts done and the number of all parts."""


class Pixels:
    """N prepared pictures with their classes, memory-mapped from disk.

    Attributes:
        labels: class names.
        truths: `int64 (N,)`, index of each picture's class.
    """

    def __init__(self, labels: tuple[str, ...], parts: list[tuple[NDArray[np.uint8], NDArray[np.int64]]]) -> None:
        self.labels = labels
        self.truths: NDArray[np.int64] = np.concatenate([truths for _, truths in parts])
        self._parts = [images for images, _ in parts]
        self._ends = np.cumsum([len(images) for images in self._parts])

    def __len__(self) -> int:
        return len(self.truths)

    def image(self, index: int) -> Image:
        """Picture `index`, `uint8 (height, width, 3)` RGB; read-only."""
        part = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[part]) - len(self._parts[part])
        image: Image = self._parts[part][index - start]
        return image

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """All pictures in order: `uint8 (n, height, width, 3)` and `int64 (n,)`, n at most `size`."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            yield np.stack([self.image(index) for index in range(start, stop)]), self.truths[start:stop]


def load_pixels(
    source: Source,
    spec: InputSpec,
    *,
    labels: tuple[str, ...] | None = None,
    folder: Path | None = None,
    workers: int = 1,
    on_part: OnPart | None = None,
) -> Pixels:
    """All labelled pictures of a source, prepared as on the device. Parts that are not on disk yet are made.

    An interrupted call resumes at the first missing part.

    Args:
        source: of the pictures.
        spec: size and resize rule.
        labels: class names in the wanted order; default: the source's. Pictures of other classes are refused.
        folder: of the cache; default: the user's cache folder.
        workers: processes that make parts, each with one thread.
        on_part: called before the first and after each part that is made.

    Raises:
        WorkbenchError: no labelled pictures, or a class that is not among `labels`.
    """
    labels = source.labels if labels is None else labels
    unknown = sorted(set(source.labels) - set(labels))
    if unknown:
        raise WorkbenchError(f"expected classes among {', '.join(labels)}; the data also has {', '.join(unknown)}")
    folder = user_cache_path("edge-sdk", appauthor=False) / "pixels" if folder is None else folder
    rule = "" if spec.scaling == 1 else f"-scaling{spec.scaling}"
    folder = folder / f"{source.key}-{spec.width}x{spec.height}-{spec.resize}{rule}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [part for part in range(source.parts) if not _path(folder, source, part, "images").exists()]
    done = source.parts - len(missing)
    if missing and on_part is not None:
        on_part(done, source.parts)
    if missing and workers > 1:
        context = get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            try:
                with _without_interrupts():
                    futures = [pool.submit(_make_part, source, part, spec, folder) for part in missing]
                for future in as_completed(futures):
                    future.result()
                    done += 1
                    if on_part is not None:
                        on_part(done, source.parts)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # parts in hand are finished, no other is begun
                raise
    else:
        for part in missing:
            _make_part(source, part, spec, folder)
            done += 1
            if on_part is not None:
                on_part(done, source.parts)
    parts = [_open_part(folder, source, part, labels) for part in range(source.parts)]
    if not any(len(truths) for _, truths in parts):
        raise WorkbenchError("expected pictures with a class: a folder of class folders, or the simulated camera")
    return Pixels(labels, parts)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that start in the block ignore Ctrl-C, which a terminal sends to all: this process ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _path(folder: Path, source: Source, part: int, kind: str) -> Path:
    return folder / f"{part:05d}-{source.size(part)}.{kind}.npy"


def _make_part(source: Source, part: int, spec: InputSpec, folder: Path) -> None:
    images: list[Image] = []
    truths: list[int] = []
    for picture in source.read(part):
        if picture.label is not None:
            images.append(prepare(picture.image, spec))
            truths.append(source.labels.index(picture.label))
    pixels = np.stack(images) if images else np.zeros((0, spec.height, spec.width, 3), np.uint8)
    write_whole(_path(folder, source, part, "truths"), lambda fresh: np.save(fresh, np.array(truths, np.int64)))
    # The images are written last: where they exist, the part is complete.
    write_whole(_path(folder, source, part, "images"), lambda fresh: np.save(fresh, pixels))


def _open_part(
    folder: Path, source: Source, part: int, labels: tuple[str, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    truths = np.load(_path(folder, source, part, "truths"))
    order = np.array([labels.index(label) for label in source.labels], np.int64)
    return np.load(_path(folder, source, part, "images"), mmap_mode="r" if len(truths) else None), order[truths]
