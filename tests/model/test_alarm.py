"""The evidence along the exits, against tests that are played exit by exit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_sdk.model.alarm import Strata, log_e_values
from edge_sdk.model.betting import BETS, LOG_SHARES
from edge_sdk.store.audits import EVERY

CHANCES, KINDS = np.array([0.3, 0.6, 0.3]), np.array([0, 0, 1])


def played(exits: list[tuple[int, bool, bool]], shares: tuple[float, float]) -> float:
    """The evidence by tests that begin one after another, exit by exit: band, drawn, differs."""
    allowed = np.exp(LOG_SHARES) * (max(shares) * BETS < 1)
    capitals, weights, audits = {0: allowed.copy()}, {0: 0.5}, 0
    for band, drawn, differs in exits:
        for capital in capitals.values():
            capital *= np.maximum(0.0, 1 + BETS * (drawn * differs / CHANCES[band] - shares[KINDS[band]]))
        audits += drawn
        if drawn and audits % EVERY == 0:
            number = audits // EVERY
            capitals[number], weights[number] = allowed.copy(), 0.5 / (number * (number + 1))
    return (
        sum(weights[number] * float(capital.sum()) for number, capital in capitals.items()) + 1 - sum(weights.values())
    )


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0.005, 0.3), st.floats(0.005, 0.3))
@example(401607, 0.25, 0.25)
def test_the_evidence_is_that_of_tests_played_exit_by_exit(seed: int, of_frames: float, of_events: float) -> None:
    rng = np.random.default_rng(seed)
    exits = [(int(rng.integers(3)), bool(rng.random() < 0.6), bool(rng.random() < 0.05)) for _ in range(400)]
    so_far = np.array([[band < 2, band == 2] for band, _, _ in exits]).cumsum(axis=0)
    found = [place for place, (_, drawn, differs) in enumerate(exits) if drawn and differs]
    drawn_at = [place for place, (_, drawn, _) in enumerate(exits) if drawn]
    starts = [
        (number, so_far[drawn_at[number * EVERY - 1]].tolist()) for number in range(1, len(drawn_at) // EVERY + 1)
    ]
    shares = of_frames, of_events
    path = log_e_values(
        so_far[found],
        np.array([exits[place][0] for place in found], np.int64),
        Strata(CHANCES, KINDS, np.array(shares)),
        starts=starts,
        until=so_far[-1].tolist(),
    )
    assert np.exp(path[-1]) == pytest.approx(played(exits, shares), rel=1e-6)
    for row in range(0, len(found), 7):
        assert np.exp(path[row]) == pytest.approx(played(exits[: found[row] + 1], shares), rel=1e-6)


def test_of_rows_that_left_the_tests_that_began_there_are_given_up() -> None:
    none, one = np.zeros((0, 1), np.int64), Strata(np.array([0.1]), np.array([0]), np.array([0.01]))
    nothing = np.exp(log_e_values(none, none[:, 0], one))
    assert nothing[-1] == pytest.approx(1.0, rel=0.02)  # bets that the share does not allow are given up
    assert np.exp(log_e_values(none, none[:, 0], one, given_up=3))[-1] == pytest.approx(1 - 0.5 * 3 / 4, rel=0.02)
