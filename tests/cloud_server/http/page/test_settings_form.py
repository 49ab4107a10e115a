from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.http.page.settings_form import fields_of, wanted_of, words_of
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.wanted import check_wanted

CLASSES = st.lists(st.sampled_from(["person", "car", "dog"]), min_size=1, unique=True)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "threshold": st.sampled_from(["0.8", "1"]),
        "audit": st.just("0.01"),
        "upload": st.just("5MB/day"),
        "compute": st.just("2GMAC/s"),
        "cloud": st.just("10TMAC/day"),
        "never_upload": CLASSES.map(", ".join),
    },
)


@given(FIELDS)
def test_what_was_typed_comes_back(fields: dict[str, str]) -> None:
    wanted = check_wanted(wanted_of(fields, {}))
    assert fields_of(wanted) == fields
    assert words_of(wanted)


def test_what_the_form_does_not_show_stays() -> None:
    before = {"archive": "1GB", "private": {"never_upload": ["dog"], "above": 0.3}, "audit": 0.5}
    assert wanted_of({"never_upload": "person"}, before) == {
        "archive": "1GB",
        "private": {"never_upload": ["person"], "above": 0.3},
    }
    with pytest.raises(ConfigError, match="expected a threshold as a number"):
        wanted_of({"threshold": "much"}, {})
