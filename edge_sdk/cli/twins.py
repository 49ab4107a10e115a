"""What a command says of pictures that are there twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edge_sdk.terminal.text import say

if TYPE_CHECKING:
    from rich.console import Console

    from edge_sdk.terminal.tables import Rows
    from edge_sdk.workbench.twins import Place, Twin

_MOST_ROWS = 5


def tell_twins(
    console: Console, places: Sequence[Place], show: Callable[[str, int, int], None], *, cure: str = ""
) -> list[Twin]:
    """Look for pictures that are there twice, and say which.

    Args:
        console: where it is said.
        places: the files that the command uses.
        show: progress.
        cure: what else can be done about them.
    """
    from edge_sdk.workbench.twins import find_twins

    if not places:
        return []
    twins = find_twins(places, on_done=lambda done, of: show("look for pictures that are there twice", done, of))
    if twins:
        console.print(twins_table(twins))
        say(console, twins_line(twins, cure))
    return twins


def twins_table(twins: Sequence[Twin]) -> Rows:
    """The first few, those under two classes first."""
    from edge_sdk.terminal.tables import Rows

    table = Rows(
        "Pictures that are there twice", ("picture", "class", "used for", "its twin", "class", "used for", "pixels")
    )
    for twin in sorted(twins, key=lambda one: (not one.across_labels, not one.same))[:_MOST_ROWS]:
        first, second = twin.first, twin.second
        alike = "equal" if twin.same else "nearly equal"
        table.add(first.path.name, first.label, first.part, second.path.name, second.label, second.part, alike)
    return table


def twins_line(twins: Sequence[Twin], cure: str = "") -> str:
    """How many there are, what they do, and what to do."""
    parts, labels = sum(one.across_parts for one in twins), sum(one.across_labels for one in twins)
    counts = [f"{parts} across splits, which flatter what is measured"] if parts else []
    counts += [f"{labels} under two classes, wrong under one of them"] if labels else []
    more = f" ({len(twins) - _MOST_ROWS} more than shown)" if len(twins) > _MOST_ROWS else ""
    pairs = "1 pair" if len(twins) == 1 else f"{len(twins)} pairs"
    return f"{pairs}{more}: {'; '.join(counts)}. Delete one of each{cure}."
