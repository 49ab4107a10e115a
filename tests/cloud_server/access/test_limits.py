from __future__ import annotations

from pathlib import Path

import pytest

from cloud_server.access.limits import AccessLimits, read_limits
from edge_sdk.errors import ConfigError


def test_a_file_goes_before_the_options_and_leaves_the_rest(tmp_path: Path) -> None:
    path, base = tmp_path / "limits.toml", AccessLimits(max_frames_per_s=5.0)
    path.write_text("\ufeff# fleet\r\nburst = 64\r\nmax_streams_per_device = 2\r\n")
    found = read_limits(path, base)
    assert found == AccessLimits(max_frames_per_s=5.0, burst=64, max_streams_per_device=2)
    assert base.difference(found) == "burst 32 -> 64, max_streams_per_device 16 -> 2"
    assert AccessLimits().difference(base) == "max_frames_per_s no limit -> 5"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("brust = 1", "got 'brust'"),
        ("burst = 0", "burst of at least 1; got 0"),
        ("burst = true", "got True"),
        ("max_streams = 1.5", "got 1.5"),
        ("max_frames_per_s = 'fast'", "got 'fast'"),
        ("max_frames_per_s = nan", "got nan"),
        ("max_frames_per_s = inf", "got inf"),
        ("max_frames_per_s = -1", "got -1"),
        ("burst 1", "expected TOML"),
        ("a = " + "[" * 5000, "expected TOML"),
    ],
)
def test_what_is_no_limit_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=why):
        read_limits(path, AccessLimits())
