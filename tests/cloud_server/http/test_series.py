from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloud_server.http.series import LabelValues

words = st.lists(st.text("abcdef", max_size=2), max_size=30)


@given(words, st.lists(words, max_size=8))
def test_there_are_never_more_values_and_none_that_was_shown_leaves(always: list[str], said: list[list[str]]) -> None:
    values, seen = LabelValues(5, "others", always), set[str]()
    for some in said:
        values.let_in(some)
        now = {values.shown(one) for later in said for one in later}
        assert seen - {"others"} <= now
        seen |= now
        assert all(values.shown(one) == one for one in always)
        assert len(now - set(always) - {"others"}) <= 5


def test_the_first_come_first() -> None:
    values = LabelValues(2, "others", ["fox"])
    values.let_in(["fox", "deer", "boar", "hare"])
    assert [values.shown(one) for one in ("fox", "deer", "boar", "hare", "")] == [
        "fox",
        "deer",
        "boar",
        *["others"] * 2,
    ]
