"""`edge-sdk cascade`."""

from __future__ import annotations

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
