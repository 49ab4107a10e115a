"""What an operator may want of a device: settings by kind, checked before they are signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_sdk.archive_rule import ArchiveRule
from edge_sdk.budget.limits import Resource, parse_budgets
from edge_sdk.config import SETTING_KINDS
from edge_sdk.errors import ConfigError
from edge_sdk.terminal.line import one_line

BUDGETS = {
    "upload": (Resource.UPLOAD, Resource.FRAMES),
    "compute": (Resource.COMPUTE, Resource.ENERGY),
    "cloud": (Resource.CLOUD,),
}
MOST_CLASSES, LONGEST_CLASS = 200, 100


def check_wanted(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they came, once they are found to be such as a device can follow.

    Args:
        wanted: by kind: "threshold" in [0, 1]; "budget" by upload, compute and cloud, each a text such as "5MB/day", or
            None for none; "private" with "never_upload" (classes) and "above" in [0, 1]; "audit", a share in [0, 1];
            "archive", a rule as `StorageSettings.archive`, or None for none.

    Raises:
        ConfigError: a kind is not known, or its value is not as above.
    """
    for kind, value in wanted.items():
        if kind not in SETTING_KINDS:
            raise ConfigError(f"expected settings among {', '.join(SETTING_KINDS)}; got {one_line(kind, 40)!r}")
        if kind in ("threshold", "audit"):
            _check_share(kind, value)
        elif kind == "budget":
            _check_budgets(value)
        elif kind == "private":
            _check_private(value)
        elif value is not None:
            if not isinstance(value, str):
                raise ConfigError(f"expected archive as a text, or null for none; got {one_line(value, 80)}")
            ArchiveRule.parse(value)
    return dict(wanted)


def _check_share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"expected {name} as a number from 0 to 1; got {one_line(value, 80)}")


def _check_budgets(value: Any) -> None:
    if not isinstance(value, dict) or not value or not set(value) <= set(BUDGETS):
        raise ConfigError(f"expected budget by {', '.join(BUDGETS)}; got {one_line(value, 80)}")
    for name, text in value.items():
        if text is not None and not isinstance(text, str):
            raise ConfigError(f"expected budget.{name} as a text, or null for none; got {one_line(text, 80)}")
        parse_budgets(text, *BUDGETS[name])


def _check_private(value: Any) -> None:
    if not isinstance(value, dict) or not value or not set(value) <= {"never_upload", "above"}:
        raise ConfigError(f"expected private with never_upload and above; got {one_line(value, 80)}")
    classes = value.get("never_upload", [])
    is_list = isinstance(classes, list) and len(classes) <= MOST_CLASSES
    if not is_list or not all(isinstance(one, str) and 0 < len(one) <= LONGEST_CLASS for one in classes):
        raise ConfigError(f"expected private.never_upload as a list of classes; got {one_line(classes, 80)}")
    if "above" in value:
        _check_share("private.above", value["above"])
