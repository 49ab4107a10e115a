"""Observations from a CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.priors import Place
from edge_sdk.workbench.observations import Observation, read_observations


def observed(folder: Path, text: str, label_map: dict[str, str] | None = None) -> list[Observation]:
    path = folder / "seen.csv"
    path.write_text(text)
    return list(read_observations(path, label_map))


@pytest.mark.parametrize(
    "text",
    [
        "label,month,latitude,longitude\nfox,5,46.5,9.75\n",
        "label;date;latitude;longitude\nfox;2026-05-31T04:00:00+02:00;46.5;9.75\n",
        "gbifID\tspecies\teventDate\tdecimalLatitude\tdecimalLongitude\n1\tfox\t2026-05-01/2026-05-03\t46.5\t9.75\n",
        "\ufefflabel,month,date,latitude,longitude\nfox,5,,46.5,9.75\n,6,,1,1\n",
    ],
)
def test_columns_of_several_programs(text: str, tmp_path: Path) -> None:
    assert observed(tmp_path, text) == [Observation("fox", 5, Place(46.5, 9.75), "")]


def test_what_is_not_known_is_left_open(tmp_path: Path) -> None:
    text = "label,date,region,latitude,longitude\nfox,2026,CH,,\nfox,,,46.5,\n"
    assert observed(tmp_path, text) == [Observation("fox", None, None, "CH"), Observation("fox", None, None, "")]


def test_labels_are_mapped(tmp_path: Path) -> None:
    text = "label,month\nVulpes vulpes,1\nMeles meles,2\n"
    said = observed(tmp_path, text, {"Vulpes vulpes": "fox", "*": "other"})
    assert [one.label for one in said] == ["fox", "other"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("species_name,month\nfox,1\n", "expected a column label; got species_name, month"),
        ("label,place\nfox,here\n", "expected a column month or date"),
        ("", "expected a column label; got no header"),
        ("label,month\nfox,13\n", "line 2: expected a month, 1 to 12; got '13'"),
        ("label,date\nfox,yesterday\n", "line 2: expected a date such as 2026-05-31; got 'yesterday'"),
        ("label,date\nfox,2026-13-01\n", "got '2026-13-01'"),
        ("label,month,latitude,longitude\nfox,1,north,1\n", "expected degrees of latitude and longitude; got 'north'"),
        ("label,month,latitude,longitude\nfox,1,91,1\n", "got '91'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=message):
        observed(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="cannot read"):
        list(read_observations(tmp_path / "none.csv"))
