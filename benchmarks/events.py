"""Events on streams of the simulated camera: is one answer a visit right more often than an answer a frame?

    python benchmarks/events.py [--streams 30] [--frames 300] [--first 400]

Streams that no model was trained or calibrated on go through the motion gate and the shipped little model, on the
device's runtime. A visit's truth is the subject that most of its frames show. The mean of the least empty frames is
what `EdgeClassifier` gives; beside it stand the mean of all frames, the surest frame and the majority. Intervals
resample whole streams (95%, 2,000 draws).
"""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edge_sdk import Frame, LittleModel, MotionGate, Prediction, open_bundle, open_camera
from edge_sdk.pipeline.events import Events, EventSettings

BESTS = (1, 2, 3, 5)
Rows = list[tuple[Frame, Prediction, str]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=30)
    parser.add_argument("--frames", type=int, default=300, help="of each stream")
    parser.add_argument("--first", type=int, default=400, help="seed of the first stream")
    given = parser.parse_args()
    ways: dict[str, list[list[bool]]] = {}
    admitted = 0
    with LittleModel(open_bundle("trailcam")) as little:
        for seed in track(range(given.first, given.first + given.streams), "streams"):
            rows = watched(little, f"simulated://trailcam?seed={seed}", given.frames)
            admitted += len(rows)
            for way, right in judged(little.labels, rows).items():
                ways.setdefault(way, []).append(right)
    table = Table(title=f"{given.streams} streams of {given.frames} frames, {admitted} frames that the gate admits")
    for column in ("answer", "answers", "right", "95%"):
        table.add_column(column, justify="left" if column == "answer" else "right")
    for way, streams in ways.items():
        low, high = interval(streams)
        flat = [one for stream in streams for one in stream]
        table.add_row(way, str(len(flat)), f"{np.mean(flat):.1%}", f"{low:.1%} to {high:.1%}")
    Console().print(table)


def watched(little: LittleModel, address: str, count: int) -> Rows:
    """Frames that the gate admits, what the little model says, and why they were admitted."""
    gate, rows = MotionGate(), []
    with open_camera(address) as camera:
        for frame in islice(camera, count):
            if gate.admits(frame) and gate.last is not None:
                rows.append((frame, little.predict(frame.image), str(gate.last.reason)))
    return rows


def judged(labels: tuple[str, ...], rows: Rows) -> dict[str, list[bool]]:
    """By way of answering: whether each answer is right."""
    found: dict[str, list[bool]] = {}
    groups: dict[str, list[tuple[Frame, Prediction]]] = {}
    for best in (*BESTS, len(rows)):
        events = Events(labels, EventSettings(best=best))
        groups = {}
        for frame, prediction, trigger in rows:
            groups.setdefault(events.join(frame, prediction, trigger), []).append((frame, prediction))
        events.end_all()
        name = "event: mean of all frames" if best == len(rows) else f"event: mean of the {best} least empty"
        found[name] = [event.label == truth_of(groups[event.event_id]) for event in events.take()]
    groups.pop("", None)
    whole = list(groups.values())
    surest = [max(group, key=lambda one: one[1].confidence)[1].label for group in whole]
    majority = [Counter(said.label for _, said in group).most_common(1)[0][0] for group in whole]
    found["event: the surest frame"] = [a == truth_of(group) for a, group in zip(surest, whole, strict=True)]
    found["event: the majority"] = [a == truth_of(group) for a, group in zip(majority, whole, strict=True)]
    return {"frame by frame": [said.label == frame.truth for group in whole for frame, said in group]} | found


def truth_of(group: list[tuple[Frame, Prediction]]) -> str | None:
    """What most frames show, of those that show something."""
    seen = Counter(frame.truth for frame, _ in group if frame.truth != "empty")
    return seen.most_common(1)[0][0] if seen else "empty"


def interval(streams: list[list[bool]]) -> tuple[float, float]:
    """Of the share of answers that are right."""
    rng = np.random.default_rng(0)
    right = np.array([sum(stream) for stream in streams])
    count = np.array([len(stream) for stream in streams])
    picked = rng.integers(0, len(streams), (2000, len(streams)))
    shares: NDArray[np.float64] = right[picked].sum(1) / np.maximum(1, count[picked].sum(1))
    return float(np.quantile(shares, 0.025)), float(np.quantile(shares, 0.975))


if __name__ == "__main__":
    main()
