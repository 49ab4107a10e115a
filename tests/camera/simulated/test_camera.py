import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import groupby, pairwise

import numpy as np
import pytest

from edge_sdk.camera.simulated import LABELS, SimulatedCamera, from_url
from edge_sdk.errors import ConfigError

_DIGEST = """
import hashlib, itertools
from edge_sdk.camera.simulated import SimulatedCamera, training_frames
digest = hashlib.sha256()
for frame in SimulatedCamera(seed=5, width=320, height=240, frames=40):
    digest.update(frame.image.tobytes() + frame.truth.encode() + frame.captured_at.isoformat().encode())
for image, label in itertools.islice(training_frames(5, width=320, height=240), 25):
    digest.update(image.tobytes() + label.encode())
print(digest.hexdigest())
"""


def test_same_seed_gives_the_same_pixels_in_every_process() -> None:
    digests = [
        subprocess.run([sys.executable, "-c", _DIGEST], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert digests[0] == digests[1]
    assert len(digests[0].strip()) == 64


def test_different_seeds_give_different_sites() -> None:
    first = [next(SimulatedCamera(seed=seed, width=160, height=120)).image for seed in range(4)]
    for index, image in enumerate(first):
        for other in first[index + 1 :]:
            assert np.abs(image.astype(int) - other.astype(int)).mean() > 5


@pytest.mark.parametrize(("width", "height"), [(640, 480), (320, 240), (1280, 720), (64, 48), (2560, 1440)])
def test_size_and_format(width: int, height: int) -> None:
    frame = next(SimulatedCamera(seed=1, width=width, height=height))
    assert frame.image.shape == (height, width, 3)
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous
    assert frame.source == "simulated://trailcam?seed=1"
    assert frame.truth in LABELS


def test_ends_after_the_frames_asked_for_and_when_closed() -> None:
    with SimulatedCamera(seed=2, width=160, height=120, frames=7) as camera:
        frames = list(camera)
    assert len(frames) == 7
    assert len({frame.frame_id for frame in frames}) == 7
    with SimulatedCamera(seed=2, width=160, height=120) as camera:
        next(camera)
    assert list(camera) == []
    assert list(SimulatedCamera(frames=0, width=160, height=120)) == []


def test_simulated_time_runs_forward_in_the_zone_of_the_start() -> None:
    start = datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=5)))
    times = [frame.captured_at for frame in SimulatedCamera(width=160, height=120, fps=4, frames=60, start=start)]
    steps = [after - before for before, after in pairwise(times)]
    assert all(time.tzinfo is not None for time in times)
    assert min(steps) == timedelta(seconds=0.25)
    assert steps.count(timedelta(seconds=0.25)) > len(steps) // 2
    assert times[0] >= start
    assert times[-1] - times[0] > timedelta(minutes=30)


def test_stream_is_a_sequence_of_visits_with_empty_frames_between() -> None:
    truths = [
        frame.truth for seed in (11, 12, 13) for frame in SimulatedCamera(seed=seed, width=320, height=240, frames=250)
    ]
    share = Counter(truths)["empty"] / len(truths)
    assert 0.25 < share < 0.60
    visits = [len(list(run)) for label, run in groupby(truths) if label != "empty"]
    assert np.mean(visits) > 3
    assert max(visits) >= 10


def test_realtime_waits_by_the_injected_clock() -> None:
    now, waits = [100.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    camera = SimulatedCamera(width=160, height=120, fps=5, frames=4, realtime=True, clock=lambda: now[0], sleep=sleep)
    list(camera)
    assert waits == pytest.approx([0.2, 0.2, 0.2])


def test_url_sets_every_parameter() -> None:
    with from_url("simulated://trailcam?seed=3&fps=2.5&size=320x240&frames=2&realtime=0") as camera:
        assert (camera.seed, camera.fps, camera.frames, camera.realtime) == (3, 2.5, 2, False)
        assert next(camera).image.shape == (240, 320, 3)
    assert from_url("simulated://trailcam").seed == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("simulated://webcam", "simulated://trailcam"),
        ("file:///tmp", "simulated://trailcam"),
        ("simulated://trailcam?sede=3", "unknown parameter 'sede'"),
        ("simulated://trailcam?seed=x", "seed as a whole number; got 'x'"),
        ("simulated://trailcam?seed=-1", "seed as a whole number; got '-1'"),
        ("simulated://trailcam?seed=99999999999", "seed from 0"),
        ("simulated://trailcam?seed=1&seed=2", "seed once"),
        ("simulated://trailcam?fps=fast", "fps as a number; got 'fast'"),
        ("simulated://trailcam?fps=nan", "fps as a number; got 'nan'"),
        ("simulated://trailcam?fps=0", "fps from"),
        ("simulated://trailcam?size=640", "WIDTHxHEIGHT"),
        ("simulated://trailcam?size=10x10", "width from 64"),
        ("simulated://trailcam?realtime=yes", "realtime as 0 or 1; got 'yes'"),
        ("simulated://trailcam?frames=-3", "frames as a whole number; got '-3'"),
    ],
)
def test_bad_urls_say_what_was_expected(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        from_url(url)


def test_naive_start_is_refused() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        SimulatedCamera(start=datetime(2026, 1, 1))


def test_default_start_is_utc() -> None:
    assert next(SimulatedCamera(width=160, height=120)).captured_at.tzinfo is UTC
