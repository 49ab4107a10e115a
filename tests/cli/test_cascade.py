"""`edge-sdk cascade`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.cli import cli
from edge_sdk.terminal.command import run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


@pytest.mark.parametrize("columns", ["40", "120"])
def test_thresholds_and_how_they_fare_elsewhere(
    pair: list[str], columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert run(cli, "edge-sdk", ["cascade", *pair, "--judge", pair[0], "--judge", pair[1]]) == 0
    text = capsys.readouterr().out
    assert "elsewhere" in text and "0.5 points" in text and "…" not in text


def test_as_many_to_judge_as_models(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["cascade", *pair, "--judge", pair[0]]) == 2
    assert "as many for --judge or none" in capsys.readouterr().err


def files(folder: Path, *names: str) -> list[str]:
    """CSVs of models that are right ever more often and sure where they are."""
    folder.mkdir(exist_ok=True)
    for place, name in enumerate(names):
        lines = ["id,predicted,probability,truth"]
        for number in range(40):
            right = number % 4 < 1 + place or number >= 36
            lines.append(f"p{number},{'fox' if right else 'bird'},{0.9 if right else 0.4},fox")
        (folder / f"{name}.csv").write_text("\n".join(lines))
    return [str(folder / f"{name}.csv") for name in names]


def test_csvs_alone_are_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    little, middle, big = files(tmp_path, "little", "middle", "big")
    assert run(cli, "edge-sdk", ["cascade", "--csv", little, "--csv", big, "--macs", "little=0.4G"]) == 0
    text = capsys.readouterr().out
    assert "little -> big" in text and "the MACs of big are unknown" in text and "0.0%" not in text.split("MACs")[1]
    assert "unknown" in text
    costs = ["--macs", "little=0.4G", "--macs", "middle=1G", "--macs", "big=4.1G"]
    assert run(cli, "edge-sdk", ["cascade", "--csv", little, "--csv", middle, "--csv", big, *costs]) == 0
    assert "unknown" not in capsys.readouterr().out
    assert run(cli, "edge-sdk", ["cascade", little, big, "--judge", little, "--judge", big]) == 0
    assert run(cli, "edge-sdk", ["cascade", little, middle, big]) == 2
    assert "those of little, middle, big are unknown" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["cascade", little, big, "--macs", "large=4G"]) == 2
    assert "expected a model among little, big" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["cascade", little, big, "--macs", "big=0"]) == 2
    assert "such as little=0.4G; got 'big=0'" in capsys.readouterr().err
