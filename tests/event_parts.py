"""Visits whose frames' probabilities a test decides, for a classifier that answers events."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk import EdgeClassifier, EventSettings, Frame
from edge_sdk.link.transport import Reply, ServerInfo
from edge_sdk.model.bundle import Bundle
from edge_sdk.model.policy import EventRule, Policy
from edge_sdk.store.spool import SpoolItem
from edge_sdk.testing import FakeRuntime, write_fake_bundle
from edge_sdk.types import Image

LABELS = ("empty", "deer", "fox")
DAWN = datetime(2026, 6, 1, 4, 30, tzinfo=UTC)
SURE, UNSURE, NOTHING = (0.02, 0.95, 0.03), (0.3, 0.4, 0.3), (0.98, 0.01, 0.01)
AS_A_WHOLE = EventSettings(answer_per="event")


def colours(pixels: Image) -> list[float]:
    """Logits: the class probabilities are in the proportion of red, green and blue."""
    return np.log(pixels.reshape(-1, 3).mean(0) + 1e-3).tolist()  # type: ignore[no-any-return]


def bundle_in(folder: Path, policy: Policy | None = None) -> Bundle:
    """A bundle for `colours`."""
    return write_fake_bundle(folder / "bundle", LABELS, logits=colours, policy=policy or Policy())


def with_rule(**rule: Any) -> Policy:
    """A policy that was calibrated on visits."""
    return Policy(events=EventRule(**rule))


def frame(
    chances: Sequence[float], second: float = 0.0, source: str = "cam", start: datetime = DAWN, truth: str | None = None
) -> Frame:
    """A frame of which the little model says these probabilities, nearly."""
    colour = np.round(255 * np.array(chances) / max(chances)).astype(np.uint8)
    image = np.ascontiguousarray(np.broadcast_to(colour, (48, 64, 3)))
    return Frame(image, start + timedelta(seconds=second), source, truth=truth)


def classifier(folder: Path, policy: Policy | None = None, **options: Any) -> EdgeClassifier:
    """A classifier with its state in `folder` that answers events as a whole."""
    bundle = options.pop("bundle", None) or bundle_in(folder, policy)
    options = {"events": AS_A_WHOLE, "state_dir": folder / "state", **options}
    return EdgeClassifier(bundle, runtime=FakeRuntime(colours), **options)


_VISITOR = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from event_parts import classifier, frame
from edge_sdk import Preferences
from edge_sdk.model.bundle import open_bundle
folder, start, audit = Path(sys.argv[1]), int(sys.argv[3]), float(sys.argv[4])
chances = [float(one) for one in sys.argv[5:]]
edge = classifier(folder, bundle=open_bundle(folder / "bundle"), preferences=Preferences(audit=audit))
for number in range(start, start + 100_000):
    said = edge.classify(frame(chances, 4 * number if number % 5 else 4 * number + 15))
    os.write(1, f"{said.event.event_id}\\n".encode())
"""


def told_until_killed(
    folder: Path, chances: Sequence[float], *, start: int, lines: int, audit: float = 0.0
) -> set[str]:
    """Ids of events that a child process told of before SIGKILL, some time after its first `lines` frames."""
    given = [str(folder), str(Path(__file__).parent), str(start), str(audit), *map(str, chances)]
    child = subprocess.Popen([sys.executable, "-c", _VISITOR, *given], stdout=subprocess.PIPE, env=os.environ)
    assert child.stdout is not None
    with child.stdout as pipe:
        said = [pipe.readline() for _ in range(lines)]
        child.kill()
        said += pipe.read().splitlines()
    child.wait()
    return {one.decode().strip() for one in said}


def says_fox(item: SpoolItem, server: ServerInfo) -> Reply:
    """A cloud that is rather sure of a fox."""
    return Reply(item.frame_id, "fox", 0.7, (0.1, 0.2, 0.7), server.macs, 64, server)


def files(folder: Path, place: str) -> set[str]:
    """The ids of the pictures in a folder of the state."""
    return {path.stem for path in (folder / "state" / place).glob("*.frame")}


def killed(folder: Path) -> Path:
    """A copy of the state as a kill at this moment would leave it."""
    copy = folder / "killed"
    shutil.copytree(folder / "state", copy / "state", ignore=shutil.ignore_patterns("*-shm"))
    return copy
