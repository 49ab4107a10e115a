"""`edge-sdk audit`."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.cli import cli
from edge_sdk.config import StorageSettings
from edge_sdk.images.encode import encode
from edge_sdk.images.rendition import Upload
from edge_sdk.model.agreement import Agreement
from edge_sdk.model.bundle import open_bundle, write_policy
from edge_sdk.model.policy import EventRule, Policy
from edge_sdk.store.events import answered, put
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.schema import FrameRecord, State
from edge_sdk.store.store import Store
from edge_sdk.terminal.command import run
from edge_sdk.types import Answer, Event, Origin, Reason

PICTURE = encode(np.full((24, 32, 3), 128, np.uint8), Upload(32, 80))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The shipped bundle with a promise: at most one in a hundred exits differs."""
    shutil.copytree(open_bundle("trailcam").path, tmp_path / "bundle")
    agreement = Agreement(edges=(), exits=(1000,), differ=(5,), at_most=0.01)
    policy = open_bundle("trailcam").policy
    write_policy(tmp_path / "bundle", replace_policy(policy, agreement))
    return tmp_path / "bundle"


def replace_policy(policy: Policy, agreement: Agreement) -> Policy:
    from msgspec.structs import replace as changed

    return changed(policy, agreement=agreement)


def fill(folder: Path, bundle: Path, differ: int, step: timedelta = timedelta(days=1)) -> Path:
    """200 exits, each audited with a chance of 0.5 and answered; on the first `differ` audits the models differ."""
    model = open_bundle(str(bundle)).manifest.answers_as
    with Store(folder, StorageSettings(archive="1MB")) as store:
        for number in range(200):
            name, moment = f"{number:032x}", datetime(2026, 6, 1, 12, tzinfo=UTC) + number * step
            said = Answer(name, moment, "cam", "fox", 0.99, Origin.DEVICE, True, Reason.CONFIDENT)
            record = FrameRecord(said, model=model, audit_chance=0.5)
            if number % 2:
                store.exit(record)
                continue
            said = replace(said, final=False, reason=Reason.AUDIT)
            item = SpoolItem(name, PICTURE, np.full(7, 1 / 7, np.float32), 1.0, moment, "cam")
            store.spool.put(item, replace(record, answer=said, audit=True))
            label = "deer" if number < 2 * differ else "fox"
            store.spool.answer(Answer(name, moment, "cam", label, 0.9, Origin.CLOUD, True, Reason.CLOUD))
    return folder


def test_a_broken_promise_is_a_no(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = fill(tmp_path / "state", bundle, differ=30)
    given = ["--bundle", str(bundle), "--state", str(state)]
    assert run(cli, "edge-sdk", ["audit", *given]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "no longer holds since 2026-06-" in out
    assert "100 answered, 0 wait, 0 lost" in out
    assert run(cli, "edge-sdk", ["audit", *given, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["differs"]["share"] == pytest.approx(0.3)
    assert found["exits"] == 200


def test_one_cause_of_a_day_breaks_no_promise(tmp_path: Path, bundle: Path) -> None:
    state = fill(tmp_path / "state", bundle, differ=30, step=timedelta(seconds=1))
    assert run(cli, "edge-sdk", ["audit", "--bundle", str(bundle), "--state", str(state)]) == 0


def test_people_label_the_frames_on_which_the_models_differ(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, sheet, table = fill(tmp_path / "state", bundle, differ=2), tmp_path / "sheet.png", tmp_path / "audits.csv"
    given = ["--bundle", str(bundle), "--state", str(state)]
    assert run(cli, "edge-sdk", ["audit", *given, "--sheet", str(sheet), "--csv", str(table)]) == 0
    assert sheet.stat().st_size > 100
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["device"], row["big"], row["label"]) for row in rows] == [("fox", "deer", "")] * 2
    assert run(cli, "edge-sdk", ["audit", "label", rows[0]["frame_id"], "deer", "--state", str(state)]) == 0
    rows[1]["label"] = "fox"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[1:])
    assert run(cli, "edge-sdk", ["audit", "import", str(table), "--state", str(state)]) == 0
    capsys.readouterr()
    run(cli, "edge-sdk", ["audit", *given, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["loss"]["share"] == 0.0 and found["loss"]["frames"] == 2
    assert found["wrong"]["frames"] == 2


def test_what_cannot_be_labelled_is_told(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = fill(tmp_path / "state", bundle, differ=0)
    assert run(cli, "edge-sdk", ["audit", "label", "nothing", "deer", "--state", str(state)]) == 2
    assert "does not have nothing" in capsys.readouterr().err
    table = tmp_path / "bad.csv"
    table.write_text("frame,label\n1,fox\n")
    assert run(cli, "edge-sdk", ["audit", "import", str(table), "--state", str(state)]) == 2
    assert "frame_id is missing" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["audit", "--state", str(state), "--bundle", str(bundle), "--sheet", "a.png"]) == 2
    assert "none is kept" in capsys.readouterr().err


def fill_events(folder: Path, bundle: Path, differ: int) -> Path:
    """100 events that were answered as a whole as foxes, each audited and answered; the models differ on the first."""
    model = open_bundle(str(bundle)).manifest.answers_as
    with Store(folder, StorageSettings(archive="1MB")) as store:
        for number in range(100):
            name, moment = f"{number:032x}", datetime(2026, 6, 1, 12, tzinfo=UTC) + timedelta(days=number)
            said = Answer(name, moment, "cam", "empty", 0.6, Origin.DEVICE, True, Reason.EVENT)
            record = FrameRecord(said, model=model, event=name)
            store.exit(record)
            event = Event(name, "cam", moment, moment, 1, "fox", 0.9, name, False, reason=Reason.AUDIT)
            row = put(event, State.WAITING, number, ended=True, model=model, audit=True, audit_chance=0.5)
            travels = replace(record, answer=replace(said, final=False, reason=Reason.AUDIT), audit=True)
            item = SpoolItem(name, PICTURE, np.full(7, 1 / 7, np.float32), 1.0, moment, "cam", event=name)
            store.spool.put(item, replace(travels, audit_chance=0.5, event_class="fox"), row)
            label = "deer" if number < differ else "fox"
            answer = Answer(name, moment, "cam", label, 0.9, Origin.CLOUD, True, Reason.CLOUD)
            store.spool.answer(answer, also=[answered(name, label, "", 0.9, ((label, 0.9),))])
    return folder


def test_events_count_once_and_people_label_the_frame_that_was_sent(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from msgspec.structs import replace as changed

    policy = open_bundle(str(bundle)).policy
    write_policy(
        bundle,
        changed(policy, events=EventRule(agreement=Agreement(edges=(), exits=(100,), differ=(1,), at_most=0.05))),
    )
    state, table = fill_events(tmp_path / "state", bundle, differ=40), tmp_path / "audits.csv"
    given = ["--bundle", str(bundle), "--state", str(state)]
    assert run(cli, "edge-sdk", ["audit", *given, "--csv", str(table)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "100 exits (100 of them events), from 100 audits; at most 5.00% was promised: calibrate anew" in out
    assert "events" in out and "100, 100 of them events" in out
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40 and {(row["device"], row["big"]) for row in rows} == {("fox", "deer")}
    for row in rows[:2]:
        run(cli, "edge-sdk", ["audit", "label", row["frame_id"], "deer", "--state", str(state)])
    capsys.readouterr()
    run(cli, "edge-sdk", ["audit", *given, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["exits"], found["events"], found["promised"], found["unpromised"]) == (100, 100, 0.05, 0)
    assert found["wrong"]["frames"] == 2 and found["loss"]["share"] == pytest.approx(0.4)
    assert run(cli, "edge-sdk", ["journal", "--state", str(state), "--event", f"{0:032x}"]) == 0
    assert "drawn, at a chance of 50.00%" in " ".join(capsys.readouterr().out.split())
