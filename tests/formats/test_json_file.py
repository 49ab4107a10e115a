"""A JSON object, member by member."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.formats.json_file import json_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), st.lists(VALUES, max_size=4), max_size=4), st.dictionaries(st.text(), VALUES))
def test_it_reads_as_it_was_given(arrays: dict[str, list[object]], members: dict[str, object]) -> None:
    file = io.BytesIO()
    with json_object(file) as document:
        for name, values in arrays.items():
            with document.array(name) as add:
                for value in values:
                    add(value)
        for name, value in members.items():
            if name not in arrays:
                document.member(name, value)
    assert json.loads(file.getvalue()) == {**members, **arrays}
