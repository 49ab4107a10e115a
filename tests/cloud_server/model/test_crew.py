from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from own_answers import pictures_that_differ

from cloud_server.model.big import load_model
from cloud_server.model.crew import MOST, PART, Crew
from cloud_server.model.ticket import Ran, Rows
from cloud_server.model.torch_model import TorchModel


def picture(value: int) -> np.ndarray:
    return np.full((1, 1, 3), value, np.uint8)


@given(st.integers(1, 11), st.integers(1, 70), st.booleans())
def test_parts_come_back_in_their_order_and_no_part_is_large(threads: int, count: int, has_exits: bool) -> None:
    sizes, given_threads = list[int](), set[int]()
    guard = threading.Lock()

    def run(images: Sequence[Any], little: Sequence[Any]) -> Rows:
        with guard:
            sizes.append(len(images))
        values = np.array([image[0, 0, 0] for image in images])
        assert [one[0] for one in little] == values.tolist()
        exits = values.astype(np.int64) if has_exits else None
        return Ran(np.stack([values, 2 * values], axis=1).astype(np.float32), values.astype(np.int64), exits)

    crew = Crew(threads, given_threads.add)
    got = crew.run(
        run, [picture(number) for number in range(count)], [np.full(1, number, np.float32) for number in range(count)]
    )
    assert got.rows.tolist() == [[number, 2 * number] for number in range(count)]
    assert got.macs.tolist() == list(range(count))
    assert (None if got.exits is None else got.exits.tolist()) == (list(range(count)) if has_exits else None)
    assert sum(sizes) == count and max(sizes) <= PART
    assert len(sizes) >= min(count, crew.count)
    assert crew.count == min(threads, MOST) and given_threads == (set() if threads == 1 else {threads // crew.count})


def test_a_part_that_fails_fails_the_batch_after_all_parts_have_ended() -> None:
    running, most = [0], [0]

    def run(images: Sequence[Any], little: Sequence[Any]) -> Rows:
        running[0] += 1
        try:
            if images[0][0, 0, 0] == 0:
                raise MemoryError("no memory")
            threading.Event().wait(0.01)
            most[0] = max(most[0], running[0])
            return np.zeros((len(images), 2), np.float32), np.zeros(len(images), np.int64)
        finally:
            running[0] -= 1

    crew = Crew(2, lambda threads: None)
    with pytest.raises(MemoryError, match="no memory"):
        crew.run(run, [picture(number) for number in range(16)], [None] * 16)
    assert running == [0]
    assert len(crew.run(run, [picture(1)] * 6, [None] * 6).rows) == 6


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_torch_gives_each_picture_its_own_answer_whatever_the_batch_and_the_threads(
    checkpoint: Path, threads_as_before: None
) -> None:
    model = load_model(str(checkpoint), "cpu")
    assert isinstance(model, TorchModel)
    pictures, alone = pictures_that_differ(model, 29)
    for threads in (1, 2, 3, 5):
        model.use_threads(threads)
        model.make_ready(29)
        for count in (1, 2, 3, 4, 12, 29):
            rows, macs = model.run(pictures[:count], [None] * count)[:2]
            assert np.abs(rows - alone[:count]).max() < 1e-5 and macs.tolist() == [model.macs] * count
