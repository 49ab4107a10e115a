"""What is shown is a file that says the same."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.device_config.reading import read
from edge_sdk.device_config.show import shown_config, toml

TEXT = """\
[camera]
address = "/photos \\u0007 é/?watch=yes"
[budgets]
upload = ["5MB/day", "9 frames/h"]
[preferences]
weights = {deer = 2, "a b" = 0.5}
never_upload = ["person"]
[blur]
above = 0.5
[storage]
spool_age_s = "none"
[alerts]
mqtt = "broker.example"
[[alerts.rules]]
classes = ["fox"]
quiet = "22:00-06:30"
[[alerts.rules]]
kinds = ["fault", "drift"]
"""


def test_the_shown_file_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(TEXT)
    reading = read(tmp_path / "a.toml", {"EDGE_SDK_BUNDLE__THREADS": "2"})
    assert not reading.faults
    for defaults in (True, False):
        (tmp_path / "b.toml").write_text("\n".join(shown_config(reading, defaults=defaults)))
        again = read(tmp_path / "b.toml", {})
        assert not again.faults
        assert again.parts == reading.parts


def test_each_value_has_its_origin(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(TEXT)
    lines = list(shown_config(read(tmp_path / "a.toml", {"EDGE_SDK_BUNDLE__THREADS": "2"})))
    assert f'upload = ["5MB/day", "9 frames/h"]  # {tmp_path}/a.toml:4' in lines
    assert "threads = 2  # EDGE_SDK_BUNDLE__THREADS" in lines
    assert "window = 8  # default" in lines
    assert 'spool_age_s = "none"  # ' + f"{tmp_path}/a.toml:11" in lines
    assert "[power]" not in lines


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[alerts]\nwebhook = 'https://hooks.example/T0/hunter22'\n")
    shown = "\n".join(shown_config(read(tmp_path / "a.toml", {})))
    assert "https://hooks.example/***" in shown and "hunter22" not in shown


@given(
    st.recursive(
        st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_values_are_written_as_toml_reads_them(value: object) -> None:
    import tomllib

    assert tomllib.loads(f"value = {toml(value)}")["value"] == value
