"""What has changed between the settings of a stopped run and those of the next call."""

from __future__ import annotations

from collections.abc import Mapping


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs, one text each: `epochs was 20, now 30`."""
    nothing = "not there"
    return [
        f"{name} was {before.get(name, nothing)}, now {now.get(name, nothing)}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
