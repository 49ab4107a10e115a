"""Pictures of the simulated camera."""

import math
from itertools import pairwise

import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.simulated_source import FIRST_SEED, SimulatedSource, start_at


def test_the_simulated_cameras_seeds_never_meet() -> None:
    firsts = sorted({FIRST_SEED[split] for split in Split})
    assert len(firsts) == 4 and all(b - a >= 1_000_000 for a, b in pairwise(firsts))
    source = open_source("simulated://trailcam?seed=7&frames=4", Split.VAL)
    assert [p.source for p in read_all(source)] == ["simulated://trailcam?seed=2007000"] * 4


def test_streams_and_closeups_of_the_simulated_camera() -> None:
    stream = open_source("simulated://trailcam?seed=1&frames=3&streams=1", Split.TEST)
    assert [p.group in ("day", "dusk", "night") and p.label in stream.labels for p in read_all(stream)] == [True] * 3
    near = open_source("simulated://trailcam?seed=1&frames=10&closeups=1", Split.TRAIN)
    pictures = list(read_all(near))
    assert 10 < len(pictures) <= near.size(0) == 20
    assert sum(p.image.shape == (480, 640, 3) for p in pictures) >= 10


def test_more_frames_keep_the_key_and_other_seeds_change_it() -> None:
    def key(query: str) -> str:
        return SimulatedSource.from_address(f"simulated://trailcam?{query}", Split.TRAIN).key

    assert key("seed=1&frames=100") == key("seed=1&frames=900") != key("seed=2&frames=100")


def test_a_gated_stream_is_visits_at_many_hours() -> None:
    address = "simulated://trailcam?seed=4&frames=80&streams=1&gate=1&each=40"
    source = open_source(address, Split.TEST)
    assert source.parts == 2 and source.size(1) == 40
    pictures = list(read_all(source))
    assert 20 < len(pictures) < 80
    assert {one.place for one in pictures} == {f"simulated://trailcam?seed={4000 + part}" for part in (0, 1)}
    moved = [one for one in pictures if not math.isnan(one.moved_at)]
    assert moved and all(one.region is None for one in pictures[:5])  # the gate is learning
    assert sum(one.region is not None for one in moved) > len(moved) / 2
    assert start_at(4000) != start_at(4001)
    for wrong in ("gate=1", "gate=1&streams=1&stride=2", "each=0", "gate=x"):
        with pytest.raises(WorkbenchError, match="expected"):
            open_source(f"simulated://trailcam?{wrong}", Split.TEST)


def test_plain_streams_have_the_gates_regions_too() -> None:
    plain = list(read_all(open_source("simulated://trailcam?seed=1&frames=40&streams=1", Split.TEST)))
    assert len(plain) == 40 and any(one.region is not None for one in plain)
    assert all(math.isnan(one.moved_at) for one in plain)
