"""What a GPU would say is injected: none is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.big import load_model
from cloud_server.model.gpu_memory import PART, Staging, WithinMemory
from cloud_server.model.ticket import Ran, Rows
from cloud_server.model.torch_model import TorchModel
from edge_sdk.types import Image


class SmallGpu:
    """Takes so many frames at once."""

    def __init__(self, room: int) -> None:
        self.room, self.sizes = room, list[int]()

    def run(self, images: Sequence[Image], little: Sequence[object]) -> Rows:
        self.sizes.append(len(images))
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert [int(image[0, 0, 0]) for image in images] == list(little)
        levels = np.array([[image[0, 0, 0]] for image in images], np.float32)
        return levels, np.arange(len(images), dtype=np.int64)


def frames(count: int) -> list[Image]:
    return [np.full((2, 2, 3), level, np.uint8) for level in range(count)]


@given(st.integers(1, 40), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_all_are_answered_in_order_and_the_size_is_learned(room: int, batches: list[int]) -> None:
    gpu, within = SmallGpu(room), WithinMemory()
    for count in batches:
        rows, macs, *_ = within.run(gpu.run, frames(count), list(range(count)))
        assert rows[:, 0].tolist() == list(range(count)) and len(macs) == count
    failed = [size for size in gpu.sizes if size > room]
    assert len(failed) <= 6  # each halves what is tried from then on
    assert within.most is None or within.most <= max(1, max(batches) // 2)


@given(st.integers(1, 9), st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_exits_stay_with_their_frames(room: int, exits: list[int]) -> None:
    gpu = SmallGpu(room)

    def run(images: Sequence[Image], little: Sequence[object]) -> Rows:
        rows, macs, *_ = gpu.run(images, little)
        return Ran(rows, macs, np.array([exits[int(image[0, 0, 0])] for image in images]))

    ran = Ran(*WithinMemory().run(run, frames(len(exits)), list(range(len(exits)))))
    assert ran.exits is not None and ran.exits.tolist() == exits


def test_where_one_does_not_fit_it_says_what_to_do_and_goes_on_later() -> None:
    gpu, within = SmallGpu(0), WithinMemory()
    with pytest.raises(torch.OutOfMemoryError, match="end what else runs on this GPU, or serve a smaller model"):
        within.run(gpu.run, frames(4), list(range(4)))
    gpu.room = 1
    assert len(within.run(gpu.run, frames(4), list(range(4)))[0]) == 4


def test_a_batch_is_staged_as_it_is_and_the_memory_is_kept() -> None:
    staging = Staging(torch.device("cpu"))
    for count in (3, 1, 4, 9):
        pixels = staging.batch(frames(count))
        assert pixels.dtype == torch.uint8 and np.array_equal(pixels.numpy(), np.stack(frames(count)))
    kept = staging._kept
    staging.batch(frames(16))
    assert staging._kept is kept  # room for the next power of two


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4))
def test_parts_are_the_batch_in_order_and_none_is_small(sizes: list[int]) -> None:
    staging = Staging(torch.device("cpu"))
    for count in sizes:
        parts = list(staging.parts(frames(count)))
        assert np.array_equal(torch.cat(parts).numpy(), np.stack(frames(count)))
        assert len(parts) == (1 if count < 2 * PART else 2) and (len(parts) == 1 or min(map(len, parts)) >= PART)


@pytest.mark.parametrize("count", [1, PART, 2 * PART, 2 * PART + 7])
def test_a_batch_in_parts_is_answered_as_one(count: int, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(str(checkpoint), "cpu", 1)
    assert isinstance(model, TorchModel)
    coarse = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), np.uint8)
    images = list(coarse.repeat(8, axis=1).repeat(8, axis=2))
    expected, *_ = model.run(images, [None] * count)
    monkeypatch.setattr(model, "on_gpu", True)  # the way of a GPU, on the CPU
    got, macs, *_ = model.run(images, [None] * count)
    assert np.allclose(got, expected, atol=1e-5) and len(macs) == count


def test_a_served_network_survives_a_batch_that_does_not_fit(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(str(checkpoint), "cpu", 1)
    assert isinstance(model, TorchModel)
    images = [model.prepare(np.full((16, 16, 3), level, np.uint8)) for level in (0, 90, 200)]
    expected, *_ = model.run(images, [None] * 3)
    honest = model._run

    def small(images: Sequence[Image], little: Sequence[object]) -> Rows:
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(images, little)

    monkeypatch.setattr(model, "_run", small)
    assert np.allclose(model.run(images, [None] * 3)[0], expected, atol=1e-5)
