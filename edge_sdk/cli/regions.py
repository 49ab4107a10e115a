"""What commands share that make and measure looks at regions of photos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge_sdk.types import View
    from edge_sdk.workbench.looks import Finding
    from edge_sdk.workbench.records import Records

TWO_FINDERS = ("--detector", "--boxes", "each says where something is")
"""For `refuse_together`."""


def check_finding(detector: Path | None, boxes: Path | None, views: Sequence[View]) -> Finding | None:
    """What `--detector` and `--boxes` say; None: neither was given.

    Raises:
        click.UsageError: one was, and no model looks at regions.
    """
    from edge_sdk.types import View
    from edge_sdk.workbench.looks import Finding

    finding = Finding.given(detector, boxes)
    if finding is not None and all(view is View.FRAME for view in views):
        raise click.UsageError(
            "expected a model that looks at regions (--view both or region, or a bundle of such a view) with "
            "--detector or --boxes; all look at whole frames"
        )
    return finding


def regions_line(records: Iterable[Records]) -> str:
    """In how many pictures a region was looked at, and of photos why not in others; "": no model looks at regions."""
    import numpy as np

    one = next(iter(records), None)
    if one is None:
        return ""
    said = f"regions: in {int(one.with_region.sum())} of {len(one)} pictures; the others are seen whole"
    lacking = one if one.with_region.all() else one.part(~one.with_region)
    timeless = len(lacking) if lacking.times is None else int(np.isnan(lacking.times).sum())
    placeless = 0 if lacking.places is None else int((lacking.places == "").sum())
    if one.with_region.all() or str(one.sources[0] if one.sources is not None else "").startswith("simulated:"):
        return said
    reasons = [f"{timeless} have no capture time"] if timeless else []
    reasons += [f"{placeless} have no place"] if placeless else []
    why = "bursts need the time and the place of each photo, as in CLASS/PLACE/x.jpg"
    return f"{said} ({', '.join(reasons)}: {why})" if reasons else said
