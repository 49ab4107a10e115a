"""What a command says of pictures that are there twice."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.cli.twins import twins_line, twins_table
from edge_sdk.workbench.twins import Place, Twin


def twin(part: str, label: str, same: bool = False) -> Twin:
    return Twin(Place(Path("a/1.jpg"), "train", "fox"), Place(Path("b/2.jpg"), part, label), same)


def test_what_harms_most_stands_first_and_the_line_counts_all() -> None:
    twins = [*[twin("test", "fox")] * 6, twin("train", "dog", same=True)]
    table = twins_table(twins)
    assert len(table.rows) == 5
    assert twins_line(twins, ", or do without") == (
        "7 pairs (2 more than shown): 6 across splits, which flatter what is measured; 1 under two classes, wrong "
        "under one of them. Delete one of each, or do without."
    )
    assert twins_line([twin("val", "fox")]).startswith("1 pair: 1 across splits")
