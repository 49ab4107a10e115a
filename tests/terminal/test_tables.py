"""Tables keep all of their text at any width."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len

from edge_sdk.terminal.tables import Facts, Rows
from edge_sdk.terminal.text import open_console

PATH = "/a-folder-of-a-rather-long-name/bundle[/b]/of-the-north-gate"


def shown(table: Facts | Rows, width: int) -> str:
    console = open_console()
    console.file = file = io.StringIO()
    console.width = width
    console.print(table)
    text = file.getvalue()
    assert max(cell_len(line) for line in text.splitlines()) <= width
    return text


def letters(text: str) -> str:
    return re.sub(r"[\s│┃]", "", text)


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_facts_wrap(width: int) -> None:
    table = Facts(f"bundle {PATH}")
    table.add("folder", PATH)
    table.add("a name of several words", 3)
    text = letters(shown(table, width))
    assert PATH in text
    assert "…" not in text


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_rows_become_blocks_where_words_do_not_fit(width: int) -> None:
    columns = ("model", "pictures", "accuracy", "parameters", "latency")
    table = Rows("Records in [/b]", columns, caption="all of it")
    table.add("mobilenetv4_conv_small_035", 120, "97.5%", "1.25 M", "12.30 ms")
    table.add("resnet", 120, "", "2.50 M", "\x1b[31m")
    text = shown(table, width)
    assert "…" not in text
    for part in ("Records in [/b]", "97.5%", "1.25 M", "12.30 ms", r"\x1b[31m", "all of it"):
        assert letters(part) in letters(text)
    assert "mobilenetv4_conv_small_035" in letters(text)
    assert ("│" in text) == (width == 200)
    if width == 40:
        assert "  accuracy: 97.5%" in text


def test_a_column_without_a_name_and_columns_to_the_left() -> None:
    table = Rows("", ("", "float", "note"), left=("note",))
    table.add("accuracy", "1.0%", "x")
    assert re.search(r"│ accuracy │\s+1.0% │ x    │", shown(table, 80))
    assert "- accuracy" in shown(table, 10)


@pytest.mark.parametrize("width", range(80, 84))
def test_a_table_that_just_fits_keeps_its_right_edge(width: int) -> None:
    names = ("model", "pictures", "accuracy", "input", "MMAC", "parameters", "latency")
    table = Rows("Records", names)
    table.add("trailcam-int8", 60, "75.0%", "160x120", "46.9", "0.56 M", "0.37 ms")
    table.add("trailcam", 60, "75.0%", "256x192", "383.8", "2.71 M", "13.51 ms")
    lines = [line.rstrip() for line in shown(table, width).splitlines()[1:]]
    assert len({len(line) for line in lines if line}) == 1 and "model: " not in "".join(lines)
    assert "13.51" in "".join(lines)
