"""The form of settings: what a person typed, as settings by kind, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_sdk.errors import ConfigError
from edge_sdk.fleet.wanted import BUDGETS

_SHARES = {"threshold": "a threshold", "audit": "a share of audits"}


def wanted_of(form: Mapping[str, str], before: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by kind from what was typed; an empty field leaves the kind to the device.

    Args:
        form: threshold, audit, upload, compute, cloud, never_upload (classes with commas between).
        before: what was wanted before: what the form has no field for stays.

    Raises:
        ConfigError: a number cannot be read. What a kind may be is checked by `edge_sdk.fleet.wanted`.
    """
    wanted = {kind: value for kind, value in before.items() if kind == "archive"}
    for name, words in _SHARES.items():
        if text := form.get(name, "").strip():
            try:
                wanted[name] = float(text.replace(",", "."))
            except ValueError:
                raise ConfigError(f"expected {words} as a number from 0 to 1; got {text[:40]!r}") from None
    if budgets := {name: text for name in BUDGETS if (text := form.get(name, "").strip())}:
        wanted["budget"] = budgets
    if classes := [one.strip() for one in form.get("never_upload", "").split(",") if one.strip()]:
        above = dict(before.get("private") or {}).get("above")
        wanted["private"] = {"never_upload": classes} | ({} if above is None else {"above": above})
    return wanted


def words_of(wanted: Mapping[str, Any]) -> str:
    """Settings in words."""
    words = []
    for kind, value in wanted.items():
        if kind == "budget":
            words += [f"{name} {text or 'without a budget'}" for name, text in value.items()]
        elif kind == "private":
            words.append(f"never upload {', '.join(value.get('never_upload', ()))}")
        else:
            words.append(f"{kind} {value}")
    return "; ".join(words) or "nothing: all is the devices' own"


def fields_of(wanted: Mapping[str, Any]) -> dict[str, str]:
    """What the form of `wanted_of` would have held."""
    fields = {name: f"{wanted[name]:g}" for name in _SHARES if name in wanted}
    fields |= {name: str(text) for name, text in dict(wanted.get("budget") or {}).items() if text}
    private = dict(wanted.get("private") or {}).get("never_upload") or ()
    return {**fields, **({"never_upload": ", ".join(private)} if private else {})}
