"""`edge-sdk records`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.cli import cli
from edge_sdk.cli.records import records_table
from edge_sdk.model.bundle import open_bundle
from edge_sdk.terminal.command import run
from edge_sdk.terminal.text import open_console
from edge_sdk.workbench.records_file import load_records

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def test_each_model_has_its_file_and_row(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert len(pair) == 2
    open_console().print(records_table(map(Path, pair), Path("fol[bold]der")))
    text = capsys.readouterr().out
    assert "Records in fol[bold]der" in text and text.count("120") >= 2


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["m", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "records")]
    assert run(cli, "edge-sdk", ["records", *given]) == 2
    assert "expected a folder of pictures" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["records", "m.safetensors", *given[1:], "--pretrained"]) == 2
    assert "expected a timm name with --pretrained" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["records", *given, "--macs", "m=1G"]) == 2
    assert "expected --csv with --macs: " in capsys.readouterr().err


def test_the_bundle_that_ships_and_its_name_are_one_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--data", "simulated://trailcam?frames=2", "--out", str(tmp_path)]
    assert run(cli, "edge-sdk", ["records", "trailcam", str(open_bundle("trailcam").path), *given]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "are the same model. The big model of that name is" in told and "trailcam/model.safetensors" in told


def test_only_the_big_model_sees_pictures_as_they_are_sent(
    fp32_bundle: Path, checkpoint: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(fp32_bundle), str(checkpoint), "--data", str(photos), "--split", "test", "--out", str(tmp_path)]
    assert run(cli, "edge-sdk", ["records", *given, "--upload", "32@40"]) == 0
    assert "m: pictures as 32@40 leaves them" in capsys.readouterr().out
    sizes = {path.stem: load_records(path).upload_bytes is not None for path in tmp_path.glob("*.npz")}
    assert sizes == {"bundle-fp32": False, "m": True}


def test_another_programs_records_need_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["id,predicted,probability"]
    for kind in ("bird", "fox"):
        for number in range(3):
            (tmp_path / "photos" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "photos" / kind / f"{number}.jpg").write_bytes(b"never read")
            lines.append(f"{kind}/{number}.jpg,bird,0.9")
    table = tmp_path / "theirs.csv"
    table.write_text("\n".join(lines))
    given = ["--data", str(tmp_path / "photos"), "--out", str(tmp_path / "records")]
    assert run(cli, "edge-sdk", ["records", *given, "--csv", str(table), "--macs", "theirs=4.1G"]) == 0
    text = capsys.readouterr().out
    assert "50.0%" in text and "4100.0" in text and "unknown" in text
    records = load_records(tmp_path / "records" / "theirs.npz")
    assert records.ids.tolist()[:2] == ["bird/0.jpg", "bird/1.jpg"] and records.info.macs == 4_100_000_000
    assert run(cli, "edge-sdk", ["records", *given]) == 2
    assert "expected MODELS to run, or --csv" in capsys.readouterr().err
