"""Which frames are kept for the cloud, at which encoding, and when they may leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget
from edge_sdk.config import PowerModel
from edge_sdk.images.rendition import Rendition, Upload
from edge_sdk.model.policy import Policy, Preferences
from edge_sdk.pipeline.admission import Admission
from edge_sdk.types import Frame, Prediction

SAID = Prediction(("a", "b"), np.array([0.5, 0.5], np.float32))


def frame(seed: int) -> Frame:
    return Frame(np.random.default_rng(seed).integers(0, 255, (240, 320, 3), np.uint8))


def admission(ledger: Ledger, policy: Policy | None = None, reserve: float = 0.5) -> Admission:
    return Admission(policy or Policy(), ledger, Preferences(min_worth=reserve), PowerModel(0.0))


def test_without_a_budget_every_frame_is_kept_and_may_leave(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        desk = admission(ledger)
        item = desk.offer(frame(0), SAID, 0.0)
        assert item is not None and desk.may_leave(item)


def test_frames_below_the_price_wait_and_those_far_below_exit(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(400_000, 86_400)]) as ledger:
        desk = admission(ledger)
        for seed in range(60):
            desk.offer(frame(seed), SAID, 0.9 if seed % 2 else 0.5)
        best, middle = desk.offer(frame(1), SAID, 0.95), desk.offer(frame(2), SAID, 0.6)
        assert best is not None and desk.may_leave(best)
        assert middle is not None and not desk.may_leave(middle)
        assert desk.offer(frame(3), SAID, 0.1) is None


def test_a_frame_travels_at_the_rung_that_is_worth_most(tmp_path: Path) -> None:
    small, large = Upload(64, 60), Upload(320, 90)
    ladder = (Rendition(small, 2_000, 0.7), Rendition(large, 60_000, 1.0))
    policy = Policy(upload=large, ladder=ladder)
    with Ledger(tmp_path / "free.db") as ledger:
        item = admission(ledger, policy).offer(frame(0), SAID, 0.5)
        assert item is not None and len(item.image) > 20_000
        assert item.gain == pytest.approx(0.5)
    with Ledger(tmp_path / "tight.db", budgets=[Budget(100_000, 86_400)]) as ledger:
        desk = admission(ledger, policy, reserve=0.0)
        for seed in range(50):
            item = desk.offer(frame(seed), SAID, 0.5)
        assert item is not None and len(item.image) < 10_000
        assert item.gain == pytest.approx(0.35)
