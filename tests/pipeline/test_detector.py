"""A detector beside the gate: where it is asked, and who pays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import EdgeClassifier, MotionGate
from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.config import PowerModel
from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.pipeline.throttle import Throttle
from edge_sdk.types import Frame, Image, Region

DAWN = datetime(2026, 5, 1, 5, tzinfo=UTC)
STILL = np.full((384, 512, 3), 90, np.uint8)
VISITOR = STILL.copy()
VISITOR[120:180, 160:240] = 10


class Fixed:
    """Finds the same regions everywhere."""

    def __init__(self, *regions: Region, macs: int = 700) -> None:
        self.regions, self.macs, self.calls = regions, macs, 0

    def detect(self, image: Image) -> tuple[Region, ...]:
        self.calls += 1
        return self.regions


def test_a_photo_has_the_regions_that_the_detector_finds(tmp_path: Path) -> None:
    found = Region(400, 300, 200, 20, 0.8)  # beyond the right edge, which is at 512
    detector = Fixed(found, Region(600, 0, 5, 5, 0.7))
    with EdgeClassifier(state_dir=tmp_path, threshold=0.0, view="both", detector=detector) as edge:
        answer = edge.classify(STILL)
        (entry,) = edge.journal.query()
        assert edge.usage.macs_little == 2 * edge.bundle.manifest.macs + 700
        edge.classify(Frame(STILL, regions=(Region(1, 2, 30, 40, 1.0),)))
    assert entry.answer.frame_id == answer.frame_id
    assert (entry.region, entry.frame_size) == (Region(400, 300, 112, 20, 0.8), (512, 384))
    assert detector.calls == 1  # a frame that knows its regions needs none


def test_it_is_not_asked_where_the_gate_says_where_something_moved(tmp_path: Path) -> None:
    frames = [Frame(image, DAWN + timedelta(seconds=step)) for step, image in enumerate([*[STILL] * 10, VISITOR])]
    detector = Fixed()
    with EdgeClassifier(state_dir=tmp_path, threshold=0.0, gate=MotionGate(), view="region", detector=detector) as edge:
        *others, (last, _) = edge.watch(frames)
    assert detector.calls == len(others) and last.region is not None


@pytest.mark.parametrize(("spent", "asked"), [(0, True), (69, True), (70, False), (100, False)])
def test_it_gives_way_first_and_is_charged(tmp_path: Path, spent: int, asked: bool) -> None:
    detector = Fixed(Region(0, 0, 5000, 5, 0.5), macs=10)
    budget = Budget(100, 86_400, Resource.COMPUTE)
    with LittleModel(open_bundle("trailcam")) as model, Ledger(tmp_path / "l", budgets=[budget]) as ledger:
        assert ledger.try_spend(compute=spent)
        throttle = Throttle(model, ledger, PowerModel())
        regions, macs = throttle.detect(detector, STILL)
        assert ledger.snapshot().spent(Resource.COMPUTE) == spent + macs
    assert (macs, detector.calls) == ((10, 1) if asked else (0, 0))
    assert regions == ((Region(0, 0, 512, 5, 0.5),) if asked else ())


def test_what_cannot_detect_is_refused() -> None:
    with pytest.raises(BundleError, match="expected the bundle of a detector; it has task 'classify'"):
        EdgeClassifier(detector=open_bundle("trailcam").path)
    with pytest.raises(ConfigError, match="expected a detector with a method `detect`"):
        EdgeClassifier(detector=object())  # type: ignore[arg-type]
