from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from own_answers import pictures_that_differ
from sequence_parts import features, made

from cloud_server.model.big import load_model
from cloud_server.model.crew import MOST, PART, Crew, of_its_own
from cloud_server.model.ticket import Ran, Rows
from cloud_server.model.torch_model import SequenceModel, TorchModel
from edge_sdk.networks.sequence import SequenceModel as ExitSequence
from edge_sdk.networks.sequence_file import save_sequence
from edge_sdk.workbench.sequence.train import train_exits


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
        assert model.at_once(29) == min(29, PART * min(threads, MOST)) and model.at_once(2) == 2
        for count in (1, 2, 3, 4, 12, 29):
            rows, macs = model.run(pictures[:count], [None] * count)[:2]
            assert np.abs(rows - alone[:count]).max() < 1e-5 and macs.tolist() == [model.macs] * count


def test_a_copy_for_a_thread_has_the_same_weights_in_memory_and_hooks_of_its_own() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).eval()
    copied = of_its_own(network)
    assert [one.data_ptr() for one in copied.state_dict().values()] == [
        one.data_ptr() for one in network.state_dict().values()
    ]
    copied[0].register_forward_hook(lambda *_: pytest.fail("another thread's hook"))  # type: ignore[index]
    assert network(torch.zeros(1, 3, 2, 2)).shape == (1, 4, 2, 2)


def test_parts_of_an_exit_sequence_leave_each_at_its_own_exit(tmp_path: Path, threads_as_before: None) -> None:
    model = made()
    train_exits(model, features(model), epochs=2)
    sure = (0.55, 0.6, float("inf"))[: len(model.info.modules)]
    info = msgspec.structs.replace(model.info, thresholds=sure)
    path = save_sequence(tmp_path / "seq.safetensors", ExitSequence(model.big, model.exits, info))
    served = load_model(str(path), "cpu")
    assert isinstance(served, SequenceModel)
    rng = np.random.default_rng(0)
    pictures = [served.prepare(rng.integers(0, 256, (48, 64, 3), np.uint8)) for _ in range(29)]
    little = [row if at % 3 else None for at, row in enumerate(rng.dirichlet(np.full(3, 0.4), 29).astype(np.float32))]
    served.use_threads(1)
    alone = [Ran(*served.run([one], [chances])) for one, chances in zip(pictures, little, strict=True)]
    left = [one.exits[0] for one in alone if one.exits is not None]
    assert len(set(left)) > 1
    for threads in (2, 4):
        served.use_threads(threads)
        for _ in range(20):
            said = Ran(*served.run(pictures, little))
            assert said.exits is not None and said.exits.tolist() == left
            assert said.macs.tolist() == [one.macs[0] for one in alone]
            assert np.abs(said.rows - np.concatenate([one.rows for one in alone])).max() < 1e-5
