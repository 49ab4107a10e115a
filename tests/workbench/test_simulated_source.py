"""Pictures of the simulated camera."""

from itertools import pairwise

from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.simulated_source import FIRST_SEED, SimulatedSource


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
