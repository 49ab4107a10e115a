from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.budget.limits import MAX_LIMIT, MAX_PERIOD_S, Budget, Resource, parse_budget, parse_budgets
from edge_sdk.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "limit", "period_s"),
    [
        ("5MB/day", 5_000_000, 86_400),
        ("2 MiB/h", 2_097_152, 3_600),
        ("15GB/month", 15_000_000_000, 2_592_000),
        ("500kB/10min", 500_000, 600),
        (" 500 KB / 10 minutes ", 500_000, 600),
        ("1.5 GB/week", 1_500_000_000, 604_800),
        ("0B/day", 0, 86_400),
        ("20 bytes/1.5s", 20, 1.5),
        ("1KiB/hour", 1024, 3_600),
    ],
)
def test_upload_budgets(text: str, limit: int, period_s: float) -> None:
    assert parse_budget(text, Resource.UPLOAD) == Budget(limit, period_s)


@pytest.mark.parametrize(
    ("text", "limit", "period_s"),
    [
        ("2GMAC/s", 2 * 10**9, 1),
        ("500 GMACs/h", 500 * 10**9, 3_600),
        ("10TMAC/day", 10**13, 86_400),
        ("5MAC/s", 5, 1),
        ("5MMAC/s", 5 * 10**6, 1),
    ],
)
def test_compute_budgets(text: str, limit: int, period_s: float) -> None:
    assert parse_budget(text) == Budget(limit, period_s, Resource.COMPUTE)
    assert parse_budget(text, Resource.CLOUD) == Budget(limit, period_s, Resource.CLOUD)


def test_frames_and_joules() -> None:
    assert parse_budget("200 frames/day") == Budget(200, 86_400, Resource.FRAMES)
    assert parse_budget("1.5kJ/h") == Budget(1_500_000_000, 3_600, Resource.ENERGY)


def test_several_budgets_in_one_text() -> None:
    both = parse_budgets("5MB/day, 20 frames/h", Resource.UPLOAD, Resource.FRAMES)
    assert both == (Budget(5_000_000, 86_400), Budget(20, 3_600, Resource.FRAMES))
    assert parse_budgets(["5MB/day", both[1]]) == both
    assert parse_budgets(None) == ()
    with pytest.raises(ConfigError, match="expected a budget of upload; got one of frames"):
        parse_budgets(both[1], Resource.UPLOAD)


@pytest.mark.parametrize(
    "text",
    ["", "5MB", "MB/day", "5 Mb/day", "5mb/day", "-5MB/day", "5MB/fortnight", "5MB/0s", "5MB/2month", "5e6B/day",
     "0.5B/day", "5000PB/s", "5GMAC/s", "5MB/day/day", "5MB perday", "5MB per", "\N{ARABIC-INDIC DIGIT FIVE}MB/day",
     "9" * 5000 + "B/day"],
)  # fmt: skip
def test_a_bad_upload_budget_says_what_was_expected_and_what_came(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a budget") as caught:
        parse_budget(text, Resource.UPLOAD)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["5MB per day", "5MB daily", "5MB a day", "5MB/Day", "5 MB per 24 hours"])
def test_a_day_is_written_in_several_ways(text: str) -> None:
    assert parse_budget(text) == Budget(5_000_000, 86_400)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("5mb/day", "5MB/day"), ("5MB", "5MB/day"), ("5M/day", "5MB/day"), ("5MIB per H", "5.24288MB/h"),
     (5_000_000, "5MB/day"), ("70 FRAMES", "70 frames/day")],
)  # fmt: skip
def test_the_message_says_what_was_probably_meant(given: str | int, meant: str) -> None:
    with pytest.raises(ConfigError, match=f'did you mean "{meant}"'):
        parse_budgets(given, Resource.UPLOAD, Resource.FRAMES)  # type: ignore[arg-type]


def test_what_is_no_text_is_refused() -> None:
    for came in (b"5MB/day", object(), 1e300, float("nan")):
        with pytest.raises(ConfigError, match=r"expected a budget in words.*5MB/day|number (nan|1e\+300)"):
            parse_budgets(came, Resource.UPLOAD)  # type: ignore[arg-type]


def test_bytes_are_no_compute() -> None:
    with pytest.raises(ConfigError, match=r'"2GMAC/s".*got \'5MB/day\''):
        parse_budget("5MB/day", Resource.COMPUTE)


@pytest.mark.parametrize(
    ("limit", "period_s"),
    [(-1, 1.0), (MAX_LIMIT + 1, 1.0), (1, 0.0), (1, -1.0), (1, float("nan")), (1, float("inf")), (1, MAX_PERIOD_S + 1)],
)
def test_a_budget_out_of_range_is_refused(limit: int, period_s: float) -> None:
    with pytest.raises(ConfigError, match="expected a budget's"):
        Budget(limit, period_s)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(5_000_000, 86_400), "5 MB/day"),
        (Budget(500_000, 600.0), "500 kB/10 min"),
        (Budget(2_097_152, 3_600), "2.097152 MB/h"),
        (Budget(2 * 10**9, 1.0, Resource.COMPUTE), "2 GMAC/s"),
        (Budget(40, 3_600, Resource.FRAMES), "40 frames/h"),
        (Budget(1_500_000, 60, Resource.ENERGY), "1.5 J/min"),
        (Budget(0, 1.5), "0 B/1.5 s"),
    ],
)
def test_describe(budget: Budget, words: str) -> None:
    assert budget.describe() == words


@given(
    resource=st.sampled_from(Resource),
    limit=st.integers(0, MAX_LIMIT),
    period_s=st.one_of(st.integers(1, int(MAX_PERIOD_S)), st.integers(1, 10**6).map(lambda ms: ms / 1000)),
)
def test_what_describe_says_is_read_back_exactly(resource: Resource, limit: int, period_s: float) -> None:
    budget = Budget(limit, period_s, resource)
    assert parse_budget(budget.describe(), resource) == budget
