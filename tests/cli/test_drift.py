"""`edge-sdk drift`."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_sdk.cli import cli
from edge_sdk.model.bundle import open_bundle
from edge_sdk.store.schema import FrameRecord
from edge_sdk.store.store import Store
from edge_sdk.terminal.command import run
from edge_sdk.types import Answer, Origin, Reason


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """300 frames of which the little model was never sure."""
    with Store(tmp_path) as store:
        for number in range(300):
            frame = f"{number:032x}", datetime.now(UTC), ""
            store.exit(FrameRecord(Answer(*frame, "deer", 0.2, Origin.DEVICE, True, Reason.CONFIDENT)))
    return tmp_path


def test_changed_frames_are_a_no(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["drift", "--state", str(state)]) == 1
    assert "confidences have changed" in capsys.readouterr().out
    assert run(cli, "edge-sdk", ["drift", "--state", str(state), "--limit", "250"]) == 1
    assert "250 frames" in capsys.readouterr().out


def test_too_few_frames_are_no_change(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["drift", "--state", str(state), "--frames", "100"]) == 0
    assert "100 frames: too few" in capsys.readouterr().out


def test_what_is_missing_is_an_error(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["drift", "--state", str(tmp_path / "none")]) == 2
    assert "no journal at" in capsys.readouterr().err
    bundle = tmp_path / "bundle"
    shutil.copytree(open_bundle("trailcam").path, bundle)
    policy = json.loads((bundle / "policy.json").read_text())
    policy.pop("confidences")
    (bundle / "policy.json").write_text(json.dumps(policy))
    assert run(cli, "edge-sdk", ["drift", "--bundle", str(bundle), "--state", str(state)]) == 2
    assert "edge-sdk calibrate" in capsys.readouterr().err
