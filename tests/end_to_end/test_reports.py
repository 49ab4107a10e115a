"""Reports of a real device to real servers: on connections of frames and alone, killed, repeated, held back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from classifier_parts import LABELS
from server_parts import GATED, Home, serving
from settings_parts import Operator

from cloud_server.fleet.database.opening import open_database
from cloud_server.fleet.exit_accuracy import exit_accuracy
from cloud_server.fleet.fleet import Fleet
from edge_sdk import EdgeClassifier, Preferences, RemoteSettings, ReportSettings
from edge_sdk.errors import StorageError
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.remote import HeldSettings, read_kept
from edge_sdk.fleet.report_file import DeviceRow, ReportFile
from edge_sdk.store.truths import write_truths
from edge_sdk.testing.server import ScriptedServer, answer, taken
from edge_sdk.types import Frame, Origin
from edge_sdk.wire import offload_pb2 as wire

BIG = ReportSettings(most_bytes_per_day=100_000)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process writes into a file."""
    waiting = threading.Event()
    while not condition():
        waiting.wait(0.02)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (96, 128, 3), np.uint8)


def device_row(folder: Path) -> DeviceRow | None:
    try:
        rows = ReportFile(folder).devices()
    except StorageError:
        return None
    return rows[0] if rows else None


def answers_of(folder: Path) -> int:
    row = device_row(folder)
    return 0 if row is None else row.answers


def test_exits_reach_the_server_over_a_connection_of_their_own(tmp_path: Path) -> None:
    home, reports = Home(tmp_path), tmp_path / "reports"
    with serving(tmp_path / "log", *home.options, "--reports", reports) as (_, target):
        state = tmp_path / "state"
        with EdgeClassifier(
            cloud=target,
            state_dir=state,
            threshold=0.0,
            security=home.security(),
            reports=BIG,
            health=lambda: {"battery": 0.81},
        ) as edge:
            said = [edge.classify(picture(seed)) for seed in range(20)]
            edge.report()
            until(lambda: answers_of(reports) == 20)
            until(lambda: not edge._parts.store.unreported.newest(10, 1e9))
            assert edge.usage.answers_cloud == 0
    (row,) = ReportFile(reports).devices()
    assert row.device == "cam-1"
    assert (row.status.usage.frames, row.status.usage.exits) == (20, 20)
    assert round(row.status.health.own["battery"], 3) == 0.81
    assert row.status.health.bundle.startswith("trailcam ")
    found = {one.frame_id: one for one in ReportFile(reports).answers("cam-1")}
    for one in said:
        there = found[one.frame_id]
        assert (there.label, there.origin, there.reason) == (one.label, Origin.DEVICE, one.reason)
        assert abs(there.confidence - one.confidence) < 0.003
        assert abs((there.captured_at - one.captured_at).total_seconds()) < 0.001


def test_audits_reach_the_server_with_their_chances(tmp_path: Path) -> None:
    home, reports = Home(tmp_path), tmp_path / "reports"
    with (
        serving(tmp_path / "log", *home.options, "--reports", reports) as (_, target),
        EdgeClassifier(
            cloud=target,
            state_dir=tmp_path / "state",
            threshold=0.0,
            preferences=Preferences(audit=0.5),
            security=home.security(),
            reports=BIG,
        ) as edge,
    ):
        for seed in range(30):
            edge.classify(picture(seed))
        until(lambda: edge.waiting == 0)
        until(lambda: edge.evidence().answered == edge.evidence().drawn > 0)
        edge.report()
        until(lambda: told_audits(reports) == edge.evidence().answered)
        evidence = edge.evidence()
    (row,) = ReportFile(reports).devices()
    assert row.status.audits is not None and row.status.audits.model == row.status.health.bundle
    found = exit_accuracy(row.status.audits)
    assert (found.exits, found.audits) == (evidence.exits, evidence.drawn)
    assert found.agree is not None and evidence.differs is not None
    assert found.agree.share == pytest.approx(1 - evidence.differs.share)
    assert found.agree.low == pytest.approx(1 - evidence.differs.high, abs=1e-4)


def test_labels_on_the_page_say_what_they_say_on_the_device(tmp_path: Path) -> None:
    home, reports, state = Home(tmp_path), tmp_path / "reports", tmp_path / "state"
    with (
        serving(tmp_path / "log", *home.options, "--reports", reports) as (_, target),
        EdgeClassifier(
            cloud=target,
            state_dir=state,
            threshold=0.0,
            preferences=Preferences(audit=0.5),
            security=home.security(),
            reports=BIG,
        ) as edge,
    ):
        begin = datetime(2026, 6, 1, tzinfo=UTC)  # frames of visits of their own: one of a visit is drawn at most
        hours = [begin + timedelta(hours=number) for number in range(30)]
        answers = [edge.classify(Frame(picture(seed), captured_at=at)) for seed, at in enumerate(hours)]
        until(lambda: edge.waiting == 0)
        until(lambda: edge.evidence().answered == edge.evidence().drawn > 0)
        edge.report()
        until(lambda: told_audits(reports) == edge.evidence().answered and answers_of(reports) == len(answers))
        audits = [one for one in edge.journal.query() if one.audit]
        truths = {one.answer.frame_id: one.device.label or "" for one in audits[::3]}  # of the rest nobody looks at all
        truths |= {one.answer.frame_id: "-" for one in audits[1::4]}
        engine = open_database(tmp_path / "fleet.db")
        fleet = Fleet(engine, reports=reports)
        for frame_id, truth in truths.items():
            fleet.labels.add("cam-1", frame_id, truth, "ada")
        labelled = fleet.labelled_audits.read()["cam-1"]
        assert len(labelled) == len(truths) > 0
        found = exit_accuracy(told(reports), labelled)
        assert write_truths(state, truths) == []
        wrong = edge.evidence().wrong
        assert found.right is not None and wrong is not None and 0 < wrong.share < 1
        assert found.labelled == wrong.frames
        assert found.right.share == pytest.approx(1 - wrong.share)
        edge.report()
        until(lambda: exit_accuracy(told(reports)).labelled == len(truths))
        assert exit_accuracy(told(reports), labelled) == exit_accuracy(told(reports)) == found
        engine.dispose()


def told(folder: Path) -> ReportedAudits:
    row = device_row(folder)
    assert row is not None and row.status.audits is not None
    return row.status.audits


def told_audits(folder: Path) -> int:
    row = device_row(folder)
    return 0 if row is None or row.status.audits is None else sum(one.answered for one in row.status.audits.counts)


def test_reports_ride_on_a_connection_of_frames(tmp_path: Path) -> None:
    with ScriptedServer(lambda request, _: answer(request, "fox"), LABELS, reports=taken) as server:
        with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=0.0) as edge:
            for seed in range(5):
                edge.classify(picture(seed))
            edge.reconfigure(threshold=1.01)
            assert edge.classify(picture(9), wait_s=60).origin is Origin.CLOUD
            until(lambda: bool(server.reported))
        assert server.describes == server.streams == 1
    assert len(server.reported[0].answers.id_rest) == 50  # those before, not the one on its way


DIES = """
import os
from cloud_server.api.reports import ReportDesk
take = ReportDesk.take
async def take_and_die(*given):
    await take(*given)
    os.kill(os.getpid(), 9)
ReportDesk.take = take_and_die
"""
"""A server that is killed when a report is kept, before its reply leaves."""


def test_a_batch_whose_reply_is_lost_comes_again_and_is_kept_once(tmp_path: Path) -> None:
    home, reports, state = Home(tmp_path), tmp_path / "reports", tmp_path / "state"
    options = [*home.options, "--reports", reports]

    def edge(target: str) -> EdgeClassifier:
        return EdgeClassifier(cloud=target, state_dir=state, threshold=0.0, reports=BIG, security=home.security())

    def unreported(edge: EdgeClassifier) -> int:
        return len(edge._parts.store.unreported.newest(100, 1e9))

    with serving(tmp_path / "log", *options, program=DIES + GATED) as (process, target), edge(target) as first:
        for seed in range(7):
            first.classify(picture(seed))
        first.report()
        assert process.wait() == -9
        assert unreported(first) == 7
    assert answers_of(reports) == 7
    with serving(tmp_path / "log", *options) as (_, target), edge(target) as again:
        again.classify(picture(8))
        again.report()
        until(lambda: unreported(again) == 0)
    frames = [one.frame_id for one in ReportFile(reports).answers()]
    assert len(frames) == len(set(frames)) == 8


def test_an_older_server_is_asked_once_and_frames_go_on(tmp_path: Path) -> None:
    with ScriptedServer(lambda request, _: answer(request, "fox"), LABELS) as server:
        with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=1.01) as edge:
            for seed in range(4):
                assert edge.classify(picture(seed), wait_s=60).origin is Origin.CLOUD
            until(lambda: bool(server.reported))
            for seed in range(4, 8):
                assert edge.classify(picture(seed), wait_s=60).origin is Origin.CLOUD
        with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=1.01) as edge:
            assert edge.classify(picture(9), wait_s=60).origin is Origin.CLOUD
        assert len(server.reported) == 1


def test_no_report_leaves_where_the_budget_is_spent(tmp_path: Path) -> None:
    with ScriptedServer(labels=LABELS, reports=taken) as server:
        with EdgeClassifier(
            cloud=server.target, state_dir=tmp_path, threshold=0.0, budget="1MB/day", reports=BIG
        ) as edge:
            edge.classify(picture(0))
            edge.ledger.charge(upload=999_000)
            edge.report()
            until(lambda: edge._parts.reporter is not None and edge._parts.reporter.wait_s(riding=False) == 0)
            assert edge.usage.bytes_sent == 999_000
        assert server.reported == [] and server.describes == 0


def test_reports_that_are_off_open_nothing(tmp_path: Path) -> None:
    with ScriptedServer(lambda request, _: answer(request, "fox"), LABELS, reports=taken) as server:
        with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=1.01, reports=None) as edge:
            edge.report()
            assert edge.classify(picture(0), wait_s=60).origin is Origin.CLOUD
        assert server.reported == []


def test_a_server_that_fails_on_reports_still_answers_frames(tmp_path: Path) -> None:
    def fail(request: wire.ReportRequest) -> wire.ReportReply:
        raise RuntimeError("broken")

    with ScriptedServer(lambda request, _: answer(request, "fox"), LABELS, reports=fail) as server:
        with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=1.01) as edge:
            for seed in range(8):
                assert edge.classify(picture(seed), wait_s=60).origin is Origin.CLOUD
            until(lambda: bool(server.reported))
        assert server.streams == 1 and len(server.reported) == 1


def test_settings_come_back_are_followed_and_reported(tmp_path: Path) -> None:
    """An operator signs, a server hands out, a device follows; what is forged or older changes nothing."""
    home, reports, folder = Home(tmp_path), tmp_path / "reports", tmp_path / "settings"
    operator, stranger = Operator(tmp_path / "operator"), Operator(tmp_path / "stranger")
    folder.mkdir()
    file = folder / "device-cam-1.settings"
    first = operator.signed(1, "cam-1", threshold=0.2, budget={"upload": "1MB/day"})
    file.write_bytes(first)
    remote = RemoteSettings(operator.public, accept=("threshold",))

    def edge(target: str) -> EdgeClassifier:
        return EdgeClassifier(
            cloud=target,
            state_dir=tmp_path / "state",
            threshold=0.9,
            reports=BIG,
            remote=remote,
            security=home.security(),
        )

    def held() -> HeldSettings:
        row = device_row(reports)
        return HeldSettings() if row is None else row.status.held

    options = [*home.options, "--reports", reports, "--settings", folder]
    with serving(tmp_path / "log", *options) as (_, target):
        with edge(target) as one:
            one.report()
            until(lambda: one.threshold == 0.2)
            until(lambda: held().version == 1)  # told at once, on the same connection
            assert list(held().refused) == ["budget"] and "does not accept" in held().reason
            assert one.usage.budgets == ()
            file.write_bytes(stranger.signed(9, "cam-1", threshold=0.0))
            one.report()
            until(lambda: "not of this device's settings key" in held().reason)
            assert (one.threshold, held().version) == (0.2, 1)
            file.write_bytes(operator.signed(2, "cam-1", threshold=0.4))
            one.report()
            until(lambda: held().version == 2)
            file.write_bytes(first)  # a replay: the server has no newer one to hand out
            one.report()
            until(lambda: one._parts.reporter is not None and one._parts.reporter.wait_s(riding=False) > 0)
            assert one.threshold == 0.4
        with edge(target) as again:
            assert again.threshold == 0.4
            assert again.settings_from[0].endswith(f"signed by {operator.key_id}, version 2")
            kept = read_kept(again.state_dir)
            assert kept.applied == {"threshold": "threshold 0.4"} and kept.judged_at is not None


def test_a_device_without_a_key_gets_no_settings(tmp_path: Path) -> None:
    home, reports, folder = Home(tmp_path), tmp_path / "reports", tmp_path / "settings"
    folder.mkdir()
    (folder / "all.settings").write_bytes(Operator(tmp_path / "operator").signed(1, threshold=0.0))
    options = [*home.options, "--reports", reports, "--settings", folder]
    state, security = tmp_path / "state", home.security()
    with (
        serving(tmp_path / "log", *options) as (_, target),
        EdgeClassifier(cloud=target, state_dir=state, threshold=0.9, reports=BIG, security=security) as edge,
    ):
        edge.report()
        until(lambda: device_row(reports) is not None)
        assert (edge.threshold, edge.settings_from) == (0.9, ())
    row = device_row(reports)
    assert row is not None and not row.status.held.takes
