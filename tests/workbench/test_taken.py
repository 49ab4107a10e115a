"""When and where pictures of a calibration were taken."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from table_parts import TABLE, records_of

from edge_sdk.errors import ConfigError, WorkbenchError
from edge_sdk.model.priors import Place
from edge_sdk.workbench.taken import part_of, taken_of


def jpeg_taken(date: str) -> bytes:
    """A JPEG whose camera wrote a date."""
    exif, file = PIL.Image.Exif(), io.BytesIO()
    exif.get_ifd(0x8769)[0x9003] = date  # DateTimeOriginal
    PIL.Image.new("RGB", (16, 16)).save(file, "JPEG", exif=exif)
    return file.getvalue()


LITTLE = records_of(np.zeros((4, 3)), np.array([0, 1, 2, 0]))


def test_a_csv_says_it_for_each_picture(tmp_path: Path) -> None:
    path = tmp_path / "taken.csv"
    path.write_text(
        "id,date,region,latitude,longitude\n1,2026-07-01,,46,10\n2,2026-01-01,north,,\n3,,,0,0\nx,2026-01-01,,,\n"
    )
    taken = taken_of(LITTLE, TABLE, place="north", path=path)
    assert taken.months.tolist() == [0, 7, 1, 0]
    assert taken.regions == ("north", "alps", "north", None)
    assert part_of(taken, np.array([False, True, False, True])).regions == ("alps", None)


def test_cameras_wrote_the_month_into_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_taken("2026:07:04 12:00:00"))
    (tmp_path / "b.jpg").write_bytes(jpeg_taken("0000:00:00 00:00:00"))
    (tmp_path / "c.jpg").write_bytes(b"no picture")
    sources = np.array([str(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.jpg", "gone.jpg")])
    taken = taken_of(replace(LITTLE, sources=sources), TABLE, place=Place(46, 10))
    assert taken.months.tolist() == [7, 0, 0, 0]
    assert taken.regions == ("alps",) * 4
    assert taken_of(LITTLE, TABLE).months.tolist() == [0] * 4


def test_what_the_priors_do_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "taken.csv"
    path.write_text("id,month,region\n1,1,narnia\n")
    with pytest.raises(WorkbenchError, match=r"line 2: expected a region of priors.json \(alps, north\); got 'narnia'"):
        taken_of(LITTLE, TABLE, path=path)
    with pytest.raises(ConfigError, match="got 'narnia'"):
        taken_of(LITTLE, TABLE, place="narnia")
