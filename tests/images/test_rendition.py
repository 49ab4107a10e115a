"""The rung that a frame travels at."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import ConfigError
from edge_sdk.images.rendition import Rendition, Upload, choose_rendition
from edge_sdk.model.policy import Policy

LADDER = (
    Rendition(Upload(128, 50), 2_000, 0.5),
    Rendition(Upload(256, 75), 8_000, 0.9),
    Rendition(Upload(640, 90), 70_000, 1.0),
)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[Rendition, ...]:
    count = draw(st.integers(1, 6))
    sizes = sorted(draw(st.sets(st.floats(100, 1e5), min_size=count, max_size=count)))
    kept = sorted(draw(st.sets(st.floats(0.01, 1), min_size=count, max_size=count)))
    return tuple(Rendition(Upload(), size, share) for size, share in zip(sizes, kept, strict=True))


GAINS, PRICES = st.floats(-1, 1), st.floats(0, 1e-3)


@given(ladders(), GAINS, PRICES)
def test_no_rung_and_no_exit_is_worth_more(ladder: tuple[Rendition, ...], gain: float, price: float) -> None:
    worths = [gain * rung.relative_gain - price * rung.mean_bytes for rung in ladder]
    found = choose_rendition(ladder, gain, price)
    if found is None:
        assert max(worths) <= 0
    else:
        assert worths[found] == max(worths) > 0
        assert found == worths.index(max(worths))


@given(ladders(), st.floats(0.01, 1), st.lists(PRICES, min_size=2, max_size=2).map(sorted))
def test_a_higher_price_never_buys_a_dearer_rung(
    ladder: tuple[Rendition, ...], gain: float, prices: list[float]
) -> None:
    cheap, dear = (choose_rendition(ladder, gain, price) for price in prices)
    assert dear is None or (cheap is not None and ladder[dear].mean_bytes <= ladder[cheap].mean_bytes)


def test_the_choice_goes_down_as_bytes_become_dear() -> None:
    assert [choose_rendition(LADDER, 0.4, price) for price in (0.0, 1e-6, 3e-5, 9e-5, 1e-3)] == [2, 1, 0, 0, None]
    assert choose_rendition(LADDER, 0.0, 0.0) is None
    assert choose_rendition(LADDER, -0.1, 0.0) is None


@pytest.mark.parametrize(
    ("ladder", "gain", "price", "message"),
    [
        ((), 0.5, 0.0, "one rendition or more"),
        (LADDER, float("nan"), 0.0, "expected a gain"),
        (LADDER, 0.5, -1e-9, "a price of 0 or more; got 0.5 and -1e-09"),
        (LADDER, 0.5, float("nan"), "a price of 0 or more"),
    ],
)
def test_what_is_no_question_is_refused(ladder: Any, gain: float, price: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_rendition(ladder, gain, price)


def test_a_ladder_rises_in_both() -> None:
    assert Policy(ladder=LADDER).ladder == LADDER
    again = msgspec.json.decode(msgspec.json.encode(Policy(ladder=LADDER)), type=Policy)
    assert again.ladder == LADDER
    for wrong in (LADDER[::-1], (LADDER[0], LADDER[0]), (LADDER[0], Rendition(Upload(), 3_000, 0.5))):
        with pytest.raises(ValueError, match="expected a `ladder` of rising `mean_bytes` and rising `relative_gain`"):
            Policy(ladder=wrong)
        with pytest.raises(msgspec.ValidationError, match="rising"):
            msgspec.json.decode(msgspec.json.encode({"ladder": wrong}), type=Policy)


def test_names_tell_encodings_apart() -> None:
    uploads = [Upload(), Upload(320), Upload(640, 75), Upload(format="webp"), Upload(crop=(1, 1)), Upload(crop=(4, 3))]
    assert len({upload.name for upload in uploads}) == len(uploads)
    assert Upload(224, 75, "webp", (1, 1)).name == "224@75.webp+crop1x1"
