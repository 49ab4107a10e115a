"""Which photos there are: class folders, or a CSV."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import PIL.Image
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.photo_list import photos_in, time_in
from edge_sdk.workbench.twins import places_of


@pytest.fixture
def card(tmp_path: Path) -> Path:
    for name in ("100MEDIA/1.jpg", "100MEDIA/2.jpg", "101MEDIA/3.jpg", "4.jpg", "unnamed.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        PIL.Image.new("RGB", (16, 16)).save(tmp_path / name)
    (tmp_path / "5.mp4").touch()
    return tmp_path


def write(folder: Path, *lines: str) -> Path:
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder / "labels.csv"


def test_a_list_gives_labels_and_its_folders_are_places(card: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = write(
        card, "File;Label", "100MEDIA\\1.jpg;fox", "./100MEDIA/2.jpg;", "101MEDIA/3.jpg;deer", "4.jpg;fox", "5.mp4;fox"
    )
    found = {one.name: (one.label, one.place) for one in photos_in(table)}
    assert found == {
        "100MEDIA/1.jpg": ("fox", "100MEDIA"),
        "100MEDIA/2.jpg": (None, "100MEDIA"),
        "101MEDIA/3.jpg": ("deer", "101MEDIA"),
        "4.jpg": ("fox", "."),
    }
    assert "1 files of" in caplog.text and "1 are videos" in caplog.text
    source = open_source(str(table), Split.ALL)
    assert source.labels == ("deer", "fox")
    assert [one.label for one in read_all(source)] == ["fox", None, "deer", "fox"]
    assert {place.label for place in places_of(str(table))} == {"", "deer", "fox"}


def test_a_list_may_say_where_and_when(card: Path) -> None:
    table = write(card, "file,label,camera,date", "100MEDIA/1.jpg,fox,ford,2026-05-01 10:00:09", "4.jpg,fox,,")
    one, other = photos_in(table)
    assert (one.place, one.taken) == ("ford", datetime(2026, 5, 1, 10, 0, 9).astimezone())
    assert (other.place, other.taken) == (".", None)
    keys = {open_source(str(table), Split.ALL).key}
    for line in ("100MEDIA/1.jpg,fox,weir,2026-05-01 10:00:09", "100MEDIA/1.jpg,deer,ford,2026-05-01 10:00:09"):
        keys.add(open_source(str(write(card, "file,label,camera,date", line, "4.jpg,fox,,")), Split.ALL).key)
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("file,species_name", "4.jpg,fox"), "expected a column label"),
        (
            ("file,label", "4.jpg,fox", "4.jpg,deer"),
            "line 3: expected one label for each file; 4.jpg has 'fox' and 'deer'",
        ),
        (("file,label", "6.jpg,fox"), "expected files by their paths below .* such as 6.jpg"),
        (("file,label,date", "4.jpg,fox,noon"), "line 2: expected a time such as 2026-05-31 06:12:09; got 'noon'"),
    ],
)
def test_what_is_wrong_with_a_list_is_told(card: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        photos_in(write(card, *lines))


def test_there_must_be_a_folder_or_a_list(tmp_path: Path) -> None:
    for name in ("none", "none.csv"):
        with pytest.raises(WorkbenchError, match="expected a folder of pictures, a CSV of files and labels"):
            photos_in(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("CAM3_20260501_100009_2", datetime(2026, 5, 1, 10, 0, 9)),
        ("2026-05-01 10-00-09", datetime(2026, 5, 1, 10, 0, 9)),
        ("PICT_20260501100009", datetime(2026, 5, 1, 10, 0, 9)),
        ("IMG_0001", None),
        ("20261501_100009", None),
        ("120260501_100009", None),
    ],
)
def test_a_files_name_may_tell_the_time(name: str, time: datetime | None) -> None:
    assert time_in(name) == (None if time is None else time.astimezone())
