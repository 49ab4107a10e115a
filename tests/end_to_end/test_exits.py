"""At which exit of an exit sequence a frame left, from the model to the device's journal."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import msgspec
import pytest
from sequence_parts import made

from cloud_server.local import start_local_server
from edge_sdk import EdgeClassifier
from edge_sdk.camera.simulated.camera import SimulatedCamera
from edge_sdk.cli import cli
from edge_sdk.model.bundle import open_bundle
from edge_sdk.networks.sequence import SequenceModel
from edge_sdk.networks.sequence_file import save_sequence
from edge_sdk.terminal.command import run
from edge_sdk.types import Origin

LEVEL = 0.6


def test_the_journal_tells_at_which_exit_each_frame_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = open_bundle("trailcam").manifest.labels
    model = made(labels=labels[::-1])  # untrained exits answer as the little model does
    first, *rest = model.info.modules
    info = msgspec.structs.replace(model.info, thresholds=(LEVEL, *(float("inf") for _ in rest)))
    path = save_sequence(tmp_path / "exits.safetensors", SequenceModel(model.big, model.exits, info))
    state = tmp_path / "state"
    with (
        start_local_server(str(path), "--threads", "1", "--device", "cpu") as address,
        EdgeClassifier(cloud=address, state_dir=state, threshold=1.01) as edge,
        SimulatedCamera(seed=910_003, frames=12) as camera,
    ):
        for frame in camera:
            edge.classify(frame)
        answered = list(edge.late_answers(wait_s=60))
        entries = list(edge.journal.query(origin=Origin.CLOUD))
    expected = {
        entry.answer.frame_id: first if entry.top_k[0][1] >= LEVEL else "big model"
        for entry in entries
        if abs(entry.top_k[0][1] - LEVEL) > 1e-3
    }
    assert set(expected.values()) == {first, "big model"}
    for one in (*answered, *(entry.answer for entry in entries)):
        assert one.exit == expected.get(one.frame_id, one.exit)
    assert run(cli, "edge-sdk", ["journal", "--state", str(state), "--json"]) == 0
    told = [json.loads(line)["answer"] for line in capsys.readouterr().out.splitlines()]
    assert {one["frame_id"]: one["exit"] for one in told if one["frame_id"] in expected} == expected
    assert run(cli, "edge-sdk", ["journal", "--state", str(state)]) == 0
    text = capsys.readouterr().out
    assert f"(cloud, exit {first})" in text and "(cloud, exit big model)" in text
    out = tmp_path / "frames.csv"
    assert run(cli, "edge-sdk", ["export-data", "--state", str(state), "--format", "csv", "--out", str(out)]) == 0
    with out.open(newline="") as file:
        rows = {row["frame_id"]: row["cloud_exit"] for row in csv.DictReader(file)}
    assert {frame_id: rows[frame_id] for frame_id in expected} == expected
