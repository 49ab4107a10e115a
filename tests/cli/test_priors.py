"""`edge-sdk priors`, and the tables of `edge-sdk calibrate`."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from table_parts import LABELS, TABLE, TREE, TREE_LABELS, records_of, unsure_logits

from edge_sdk.cli import cli
from edge_sdk.model.bundle import open_bundle, read_priors
from edge_sdk.terminal.command import run
from edge_sdk.testing import write_fake_bundle
from edge_sdk.workbench.records_file import save_records


def command(*words: object) -> int:
    return run(cli, "edge-sdk", [str(word) for word in words])


@pytest.fixture
def calibration(tmp_path: Path) -> list[object]:
    """A bundle and records of both models, of three classes."""
    truths = np.random.default_rng(0).integers(0, 3, 400)
    files = [
        save_records(tmp_path / f"{name}.npz", records_of(unsure_logits(truths, 3, seed, lift=lift), truths, name=name))
        for seed, (name, lift) in enumerate([("little", 2.0), ("big", 3.0)], start=1)
    ]
    logits = (1.0, 0.0, 0.0)
    bundle = write_fake_bundle(tmp_path / "bundle", LABELS, logits=lambda pixels: logits)
    return ["calibrate", "--bundle", bundle.path, "--records", *files, "--drop", "0.05"]


def test_make_writes_a_table_that_a_bundle_takes(
    tmp_path: Path, calibration: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    seen = tmp_path / "seen.csv"
    lines = [f"{label},{month},46.5,9.8" for label in ("Vulpes", "marmot") for month in range(1, 13)] * 3
    seen.write_text("\n".join(["label,month,latitude,longitude", *lines, "lynx,1,0,0", "lynx,,46,10"]))
    (tmp_path / "names.json").write_text(json.dumps({"Vulpes": "fox"}))
    out = tmp_path / "new" / "priors.json"
    given = [
        "--observations",
        seen,
        "--label-map",
        tmp_path / "names.json",
        "--region",
        "alps=44,5,48,16",
        "--out",
        out,
    ]
    assert command("priors", "make", *given) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "72 observations of 2 classes, 1 regions" in text
    assert "left out: 1 without a month, 1 without a place or in no region" in text
    assert set(read_priors(out).classes) == {"fox", "marmot"}
    bundle = calibration[2]
    assert command("priors", "check", bundle) == 2
    assert "expected priors.json in" in capsys.readouterr().err
    assert command(*calibration, "--priors", out, "--place", "46.5,9.8") == 0
    assert open_bundle(str(bundle)).priors == read_priors(out)
    assert command("priors", "check", bundle, "--place", "alps") == 0
    text = capsys.readouterr().out
    assert "2 of the bundle's 3" in text and "Times as likely as in training, alps" in text
    assert command("priors", "check", bundle, "--place", "0,0") == 0
    assert "nothing is expected" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--region", "alps=1,2,3"], "expected NAME=SOUTH,WEST,NORTH,EAST"),
        (["--region", "alps=9,2,3,4"], "expected NAME=SOUTH,WEST,NORTH,EAST"),
        (["--region", "a=1,2,3,4", "--grid", "5"], "expected --region or --grid"),
    ],
)
def test_regions_that_are_none(
    more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "seen.csv").write_text("label,month\nfox,1\n")
    given = ["--observations", tmp_path / "seen.csv", "--out", tmp_path / "priors.json"]
    assert command("priors", "make", *given, *more) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_calibrate_chooses_how_much_priors_count(
    tmp_path: Path, calibration: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "priors.json"
    table.write_bytes(msgspec.json.encode(TABLE))
    taken = tmp_path / "taken.csv"
    taken.write_text("id,month\n" + "\n".join(f"{row},{row % 12 + 1}" for row in range(400)))
    bundle = Path(str(calibration[2]))
    assert command(*calibration, "--place", "alps") == 2
    assert "has no priors.json" in capsys.readouterr().err
    assert command(*calibration, "--priors", table, "--place", "alps", "--taken", taken) == 0
    assert "400 of 400 pictures have a month, 400 a region" in " ".join(capsys.readouterr().out.split())
    opened = open_bundle(bundle)
    assert opened.priors == TABLE and opened.policy.priors is not None
    assert command(*calibration, "--place", "alps", "--taken", taken) == 0  # the bundle's own table
    assert open_bundle(bundle).policy.priors == opened.policy.priors
    capsys.readouterr()
    assert command(*calibration) == 0
    assert "counted in this bundle does so no more, without --priors or --place" in " ".join(
        capsys.readouterr().out.split()
    )
    assert open_bundle(bundle).policy.priors is None
    for place in ("narnia", "1,2,3", "91,0"):
        assert command(*calibration, "--place", place) == 2
    assert command(*calibration, "--place", "alps", "--ask", tmp_path / "ask.csv") == 2
    assert "without priors or taxonomy" in capsys.readouterr().err


def test_calibrate_finds_thresholds_of_a_rollup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truths = np.random.default_rng(0).integers(0, 4, 600)
    files = [
        save_records(
            tmp_path / f"{name}.npz", records_of(unsure_logits(truths, 4, seed), truths, TREE_LABELS, name=name)
        )
        for seed, name in enumerate(("little", "big"))
    ]
    logits = (1.0, 0.0, 0.0, 0.0)
    bundle = write_fake_bundle(tmp_path / "bundle", TREE_LABELS, logits=lambda pixels: logits)
    tree = tmp_path / "tree.json"
    tree.write_bytes(msgspec.json.encode(TREE))
    given = ["calibrate", "--bundle", bundle.path, "--records", *files, "--drop", "0.05", "--rollup-right", "0.8"]
    assert command(*given) == 2
    assert "has no taxonomy.json" in capsys.readouterr().err
    assert command(*given, "--taxonomy", tree, "--rollup-exit") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "with 95% confidence 80% of the answers, classes or groups, are right" in text
    opened = open_bundle(bundle.path)
    assert opened.taxonomy == TREE
    assert opened.policy.rollup is not None and opened.policy.rollup.exit
