import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.workbench.calibrate import Outcomes, calibrate, fit_temperature, lossless_threshold, probabilities

CASES = st.lists(
    st.tuples(st.sampled_from([0.3, 0.4, 0.5, 0.7, 0.9, 1.0]), st.booleans(), st.booleans()), min_size=1, max_size=12
)


def cascade_wins(confidences, little, big, threshold) -> int:
    return sum(int(a if c >= threshold else b) - int(b) for c, a, b in zip(confidences, little, big, strict=True))


@given(CASES, st.sampled_from([0.0, 0.05, 0.2]))
def test_the_threshold_is_the_lowest_of_all_that_lose_nothing(cases, margin) -> None:
    confidences = np.array([case[0] for case in cases], np.float32)
    little, big = (np.array([case[k] for case in cases]) for k in (1, 2))
    found = lossless_threshold(confidences, little, big, margin=margin)
    good = [t for t in np.unique(confidences) if cascade_wins(confidences, little, big, t) >= margin * len(cases)]
    if good:
        assert found == min(good)
    else:
        assert found >= min(1.0, float(confidences.max()))


def test_a_little_model_that_is_never_wrong_lets_every_frame_exit() -> None:
    confidences = np.array([0.2, 0.9, 0.5], np.float32)
    right = np.ones(3, bool)
    assert lossless_threshold(confidences, right, right) == np.float32(0.2)


@given(st.integers(0, 2**31), st.floats(0.3, 5.0))
def test_the_temperature_undoes_a_scaling(seed, scale) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (400, 4)).astype(np.float32)
    chances = probabilities(logits, 1.0).astype(np.float64)
    truths = np.array([rng.choice(4, p=row / row.sum()) for row in chances])
    plain = fit_temperature(logits, truths)
    assert fit_temperature((logits * scale).astype(np.float32), truths) == pytest.approx(plain * scale, rel=1e-3)


def test_the_temperature_is_the_likeliest_on_a_grid() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (200, 5)).astype(np.float32)
    truths = np.where(rng.random(200) < 0.6, logits.argmax(1), rng.integers(0, 5, 200))

    def likelihood(temperature: float) -> float:
        return float(np.log(probabilities(logits, temperature)[np.arange(200), truths]).mean())

    found = fit_temperature(logits, truths)
    assert likelihood(found) >= max(likelihood(t) for t in np.geomspace(0.2, 10, 200)) - 1e-6


def test_the_cascade_is_never_below_the_big_model_on_its_own_calibration_set() -> None:
    rng = np.random.default_rng(5)
    truths = rng.integers(0, 3, 500)
    logits = rng.normal(0, 1, (500, 3)).astype(np.float32)
    logits[np.arange(500), truths] += 1.5
    big = np.where(rng.random(500) < 0.9, truths, (truths + 1) % 3)
    outcomes = Outcomes(("a", "b", "c"), truths, logits, big, np.full(500, 9000), ("day",) * 500)
    found = calibrate(outcomes)
    assert found.cascade_accuracy >= found.big_accuracy > found.little_accuracy
    assert 0 < found.exit_ratio < 1
    assert calibrate(outcomes, margin=0.01).cascade_accuracy >= found.big_accuracy + 0.01
    assert "500 pictures" in found.sentence()
