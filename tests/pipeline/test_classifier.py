"""EdgeClassifier with the shipped bundle, real state on disk, and a real server whose replies the test decides."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from classifier_parts import ALWAYS, LABELS, NEVER, frame
from tiny_network import write_tiny_bundle

from edge_sdk import EdgeClassifier, Frame, LinkState, Origin, Reason, open_bundle, open_camera
from edge_sdk.budget.limits import Resource
from edge_sdk.camera.gate import MotionGate, MotionSettings
from edge_sdk.config import StorageSettings, UplinkSettings
from edge_sdk.errors import BundleError, ConfigError, ImageError, StorageError
from edge_sdk.images.read import decode_image
from edge_sdk.model.bundle import Bundle
from edge_sdk.model.policy import GainTable, Histogram, Policy, Preferences
from edge_sdk.store.frames import SpoolItem, encode_frame, provisional
from edge_sdk.store.journal import Journal
from edge_sdk.testing import FakeClock, FakeRuntime, FakeTransport, fake_picamera2, write_fake_bundle
from edge_sdk.testing.server import ScriptedServer, answer, failure
from edge_sdk.types import Answer
from edge_sdk.wire import offload_pb2 as wire

DAWN = datetime(2026, 5, 1, 5, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(lambda request, _: answer(request, "deer"), labels=LABELS) as running:
        yield running


def test_a_sure_frame_exits_with_the_devices_final_answer(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=ALWAYS) as edge:
        said = edge.classify(frame())
        assert said.final
        assert said.label in LABELS
        assert (said.origin, said.reason) == (Origin.DEVICE, Reason.CONFIDENT)
        assert edge.waiting == 0
        assert edge.usage.exit_ratio == 1.0
        assert edge.usage.macs_total == edge.bundle.manifest.macs
        assert edge.link is LinkState.OFF


def test_a_bare_picture_is_enough_and_anything_else_is_refused(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path) as edge:
        assert edge.classify(np.zeros((48, 64, 3), np.uint8)).label in LABELS
        with pytest.raises(ImageError, match="expected uint8"):
            edge.classify(np.zeros((48, 64), np.uint8))


def test_listeners_hear_every_answer_and_one_that_fails_does_no_harm(
    tmp_path: Path, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Answer] = []

    def fail(said: Answer) -> None:
        raise ZeroDivisionError

    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER) as edge:
        edge.listen(fail)
        end = edge.listen(heard.append)
        late = edge.classify(frame(), wait_s=300)
        assert (late.origin, late.label) == (Origin.CLOUD, "deer")
        assert sorted(said.final for said in heard) == [False, True]
        assert late in heard
        end()
        edge.classify(frame(1), wait_s=300)
        assert len(heard) == 2
        assert edge.ledger.snapshot().frames == 2
        assert edge.state_dir == tmp_path
    assert "a listener failed on" in caplog.text


def test_an_unsure_frame_is_answered_at_once_and_later_by_the_cloud(tmp_path: Path, server: ScriptedServer) -> None:
    told: list[Answer] = []
    with EdgeClassifier(
        cloud=server.target, state_dir=tmp_path, threshold=NEVER, on_answer=told.append, budget="5MB/day"
    ) as edge:
        firsts = [edge.classify(frame(number)) for number in range(5)]
        assert all(not first.final and first.origin is Origin.DEVICE for first in firsts)
        lates = list(edge.late_answers(wait_s=30))
        assert {late.frame_id for late in lates} == {first.frame_id for first in firsts}
        assert all(late.label == "deer" and late.origin is Origin.CLOUD and late.final for late in lates)
        assert sorted(late.frame_id for late in told) == sorted(late.frame_id for late in lates)
        assert list(edge.late_answers()) == []
        account = edge.usage
        assert (account.frames, account.exits, account.offloads, account.answers_cloud) == (5, 0, 5, 5)
        assert 0 < account.bytes_sent < 5_000_000
        assert account.macs_big == 5 * 1000
        entry = next(edge.journal.query(label="deer"))
        assert entry.device is not None
        assert entry.device.label in LABELS


def test_waiting_gives_the_clouds_answer_once(tmp_path: Path, server: ScriptedServer) -> None:
    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER) as edge:
        said = edge.classify(frame(), wait_s=300)
        assert (said.label, said.origin, said.final) == ("deer", Origin.CLOUD, True)
        assert list(edge.late_answers()) == []


def test_an_answer_that_was_waited_for_does_not_come_a_second_time(tmp_path: Path, server: ScriptedServer) -> None:
    told: list[Answer] = []
    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER, on_answer=told.append) as edge:
        assert edge.classify(frame(), wait_s=300).origin is Origin.CLOUD
        assert list(edge.late_answers()) == []
    assert told == []


async def test_asyncio_gets_the_same_answers(tmp_path: Path, server: ScriptedServer) -> None:
    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER) as edge:
        said = await asyncio.gather(*(edge.classify_async(frame(number), wait_s=300) for number in range(3)))
        assert {one.origin for one in said} == {Origin.CLOUD}
        assert not [late async for late in edge.late_answers_async()]
        first = await edge.classify_async(frame(4))
        assert first.origin is Origin.DEVICE
        assert [late.frame_id async for late in edge.late_answers_async(wait_s=30)] == [first.frame_id]


async def test_a_task_that_is_cancelled_leaves_its_answer_to_the_others(tmp_path: Path) -> None:
    go, asked, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def later(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        loop.call_soon_threadsafe(asked.set)
        go.wait(30)
        return answer(request, "deer")

    with (
        ScriptedServer(later, labels=LABELS) as server,
        EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER) as edge,
    ):
        waiting = asyncio.create_task(edge.classify_async(frame(), wait_s=300))
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        assert [late.label async for late in edge.late_answers_async(wait_s=30)] == ["deer"]


def test_files_bytes_and_opencvs_arrays_are_taken(tmp_path: Path) -> None:
    bgr = np.zeros((96, 128, 3), np.uint8)
    bgr[..., 0] = 255  # blue
    cv2.imwrite(str(tmp_path / "blue.png"), bgr)
    with EdgeClassifier(state_dir=tmp_path / "state", threshold=ALWAYS) as edge:
        from_file = edge.classify(tmp_path / "blue.png")
        said = [
            edge.classify(str(tmp_path / "blue.png")),
            edge.classify((tmp_path / "blue.png").read_bytes()),
            edge.classify(bgr, bgr=True),
            edge.classify(bgr[..., ::-1]),
            edge.classify(Frame.from_bgr(bgr)),
        ]
        assert {one.confidence for one in said} == {from_file.confidence}
        assert edge.classify(bgr).confidence != from_file.confidence
        assert from_file.source == str(tmp_path / "blue.png")


def test_a_wait_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path) as edge:
        for bad in (-1.0, float("nan"), "2", True):
            with pytest.raises(ConfigError, match="expected wait_s"):
                edge.classify(frame(), wait_s=bad)  # type: ignore[arg-type]


def test_settings_change_while_it_runs(tmp_path: Path, server: ScriptedServer) -> None:
    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER, budget="1MB/day") as edge:
        edge.classify(frame(), wait_s=300)
        spent = edge.usage.spent(Resource.UPLOAD)
        assert spent > 0
        edge.reconfigure(threshold=ALWAYS, budget="2MB/day, 100 frames/h", compute_budget="1TMAC/day")
        assert edge.classify(frame(1)).final
        assert edge.usage.spent(Resource.UPLOAD) >= spent
        limits = {state.budget.describe() for state in edge.usage.budgets}
        assert limits == {"2 MB/day", "100 frames/h", "1 TMAC/day"}
        edge.reconfigure(budget=None, preferences=Preferences(floor=1.0))
        assert not edge.classify(frame(2)).final  # the threshold stayed, the floor is new
        assert {state.budget.describe() for state in edge.usage.budgets} == {"1 TMAC/day"}


def test_a_change_with_one_bad_value_changes_nothing(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=NEVER, budget="1MB/day") as edge:
        for bad in (
            {"budget": "2MB"},
            {"threshold": 95},
            {"preferences": Preferences(never_upload=("unicorn",))},
            {"compute_budget": "3kJ/h"},  # without a PowerModel
        ):
            with pytest.raises(ConfigError, match="expected"):
                edge.reconfigure(**{"threshold": ALWAYS, "budget": "2MB/day"} | bad)  # type: ignore[arg-type]
        assert edge.threshold == NEVER
        assert [state.budget.describe() for state in edge.usage.budgets] == ["1 MB/day"]


def test_waiting_ends_when_no_answer_comes(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=NEVER) as edge:
        said = edge.classify(frame(), wait_s=300)  # no cloud: there is nothing to wait for
        assert (said.origin, said.final) == (Origin.DEVICE, False)
        assert list(edge.late_answers(wait_s=30)) == []


def test_frames_that_wait_survive_a_restart(tmp_path: Path, server: ScriptedServer) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=NEVER) as edge:
        firsts = {edge.classify(frame(number)).frame_id for number in range(3)}
        assert edge.waiting == 3
    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER) as edge:
        assert {late.frame_id for late in edge.late_answers(wait_s=30)} == firsts
        assert (edge.usage.frames, edge.usage.answers_cloud) == (0, 3)  # of this run
        assert (edge.lifetime_usage.frames, edge.lifetime_usage.answers_cloud) == (3, 3)
        assert all(entry.answer.origin is Origin.CLOUD for entry in edge.journal.query())


def test_a_full_spool_makes_the_devices_answer_final(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=NEVER, spool_bytes=20_000) as edge:
        said = [edge.classify(frame(number)) for number in range(20)]
        evicted = [one for one in said if one.reason is Reason.EVICTED] + list(edge.late_answers())
        assert evicted
        assert all(one.final and one.reason is Reason.EVICTED and one.label in LABELS for one in evicted)
        assert len(evicted) + edge.waiting == 20
        assert sum(entry.answer.final for entry in edge.journal.query()) == len(evicted)


def test_a_frame_that_the_server_always_fails_on_is_final_at_last(tmp_path: Path) -> None:
    """Good frames go on meanwhile; the journal says why."""
    bad = frame()

    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        if request.frame_id == bad.frame_id:
            return failure(request, wire.Failure.INTERNAL, "not finite")
        return answer(request, LABELS[0])

    with (
        ScriptedServer(script, labels=LABELS) as server,
        EdgeClassifier(
            cloud=server.target,
            state_dir=tmp_path,
            threshold=NEVER,
            uplink=UplinkSettings(backoff_s=0.01, max_backoff_s=0.02, max_tries=3),
        ) as edge,
    ):
        for picture in (bad, *(frame(number) for number in range(1, 9))):
            edge.classify(picture)
        said = {late.frame_id: late for late in edge.late_answers(wait_s=30)}
        assert len(said) == 9
        last = said.pop(bad.frame_id)
        assert (last.origin, last.final, last.reason) == (Origin.DEVICE, True, Reason.GIVEN_UP)
        assert {late.origin for late in said.values()} == {Origin.CLOUD}
        assert server.ids.count(bad.frame_id) == 3
        entry = edge.journal.entry(bad.frame_id)
        assert entry is not None
        assert entry.note == "sent 3 times without an answer; the latest failure: not finite"
        assert list(edge.journal.query(reason=Reason.GIVEN_UP)) == [entry]


def test_a_refused_frame_keeps_the_devices_answer(tmp_path: Path) -> None:
    def refuse(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        return failure(request, wire.Failure.TOO_LARGE, "too many pixels")

    with (
        ScriptedServer(refuse, labels=LABELS) as server,
        EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER) as edge,
    ):
        said = edge.classify(frame(), wait_s=300)
        assert (said.origin, said.final, said.reason) == (Origin.DEVICE, True, Reason.REFUSED)
        assert next(edge.journal.query()).note == "too many pixels"


def test_a_spent_compute_budget_is_an_answer_without_a_label(tmp_path: Path) -> None:
    macs = open_bundle("trailcam").manifest.macs
    with EdgeClassifier(state_dir=tmp_path, compute_budget=f"{2 * macs}MAC/day", threshold=ALWAYS) as edge:
        said = [edge.classify(frame(number)) for number in range(4)]
        assert [one.label is None for one in said] == [False, False, True, True]
        assert said[-1].reason is Reason.COMPUTE_SPENT
        assert edge.usage.skipped_compute == 2
        assert edge.usage.macs_little == 2 * macs


def test_an_upload_budget_lasts_over_a_restart(tmp_path: Path, server: ScriptedServer) -> None:
    for _ in range(2):
        with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER, budget="20kB/day") as edge:
            edge.classify(frame(1))
            list(edge.late_answers(wait_s=30))
    assert edge.lifetime_usage.bytes_sent <= 20_000


def test_a_callback_that_fails_stops_nothing(tmp_path: Path, server: ScriptedServer) -> None:
    called = threading.Event()

    def fail(_: Answer) -> None:
        called.set()
        raise RuntimeError("the application's own")

    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER, on_answer=fail) as edge:
        edge.classify(frame())
        assert next(iter(edge.late_answers(wait_s=30))).origin is Origin.CLOUD
        assert called.wait(30)


def card(folder: Path, photos: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(photos):
        cv2.imwrite(str(folder / f"IMG_{number}.png"), np.full((48, 64, 3), number, np.uint8))
    return folder


@pytest.mark.parametrize("threshold", [ALWAYS, NEVER])
def test_a_second_run_over_a_card_takes_what_is_new(tmp_path: Path, threshold: float) -> None:
    def run(address: str | Path) -> int:
        with EdgeClassifier(state_dir=tmp_path / "state", threshold=threshold, gate=MotionGate()) as edge:
            return len(list(edge.watch(open_camera(address))))

    photos = card(tmp_path / "card", 4)
    assert run(photos) == 4
    assert run(photos) == 0
    card(photos, 6)  # the first four have another date now, as after a copy
    for number in range(4):
        os.utime(photos / f"IMG_{number}.png", (1_700_000_000, 1_700_000_000))
    assert run(photos) == 6
    assert run(photos) == 0
    assert run(f"{photos}?again=yes") == 6
    with Journal(tmp_path / "state") as journal:
        assert len(list(journal.query())) == 16


def test_what_is_said_of_a_frame_s_time_is_in_the_journal(tmp_path: Path) -> None:
    photos = card(tmp_path / "card", 1)
    os.utime(photos / "IMG_0.png", (0, 0))
    with EdgeClassifier(state_dir=tmp_path / "state", threshold=ALWAYS) as edge:
        ((frame, said),) = edge.watch(open_camera(photos))
        entry = edge.journal.entry(said.frame_id)
    assert (
        entry is not None and entry.note == frame.note == "the date of the file cannot be: the time is that of reading"
    )


def test_frames_timed_by_a_clock_that_was_not_set_are_marked_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    boot = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
    with EdgeClassifier(state_dir=tmp_path, threshold=ALWAYS, clock=FakeClock(boot.timestamp())) as edge:
        for when in (boot, boot, datetime(2024, 5, 1, tzinfo=UTC)):
            edge.classify(Frame(frame().image, when))
        notes = [entry.note for entry in edge.journal.query()]
    assert notes == ["this machine's clock was not set: the time of capture is wrong"] * 2 + [""]
    assert caplog.text.count("this machine's clock was not set") == 1


def test_watch_passes_over_still_frames(tmp_path: Path) -> None:
    still = np.full((96, 128, 3), 90, np.uint8)
    with EdgeClassifier(state_dir=tmp_path, threshold=ALWAYS, gate=MotionGate()) as edge:
        watched = list(edge.watch(Frame(still) for _ in range(10)))
        assert 1 <= len(watched) < 10
        assert edge.usage.frames == len(watched)


def test_watch_says_where_something_moved_and_the_model_looks_there(tmp_path: Path) -> None:
    still = np.full((384, 512, 3), 90, np.uint8)
    visitor = still.copy()
    visitor[120:180, 160:240] = 10
    frames = [Frame(picture, DAWN + timedelta(seconds=step)) for step, picture in enumerate([*[still] * 10, visitor])]
    with EdgeClassifier(state_dir=tmp_path, threshold=ALWAYS, gate=MotionGate(), view="both") as edge:
        *learned, (last, said) = edge.watch(frames)
        assert edge.usage.macs_little == (len(learned) + 2) * edge.bundle.manifest.macs
    assert (last.frame_id, last.captured_at) == (said.frame_id, frames[-1].captured_at)
    assert all(frame.region is None for frame, _ in learned)
    assert last.region is not None and not last.region.held
    assert abs(last.region.x - 160) <= 10 and abs(last.region.width - 80) <= 20


def test_a_view_that_the_rule_was_not_calibrated_for_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for view, threshold in ((None, None), ("frame", None), ("both", None), ("region", 0.9)):
        EdgeClassifier(state_dir=tmp_path, view=view, threshold=threshold).close()
    assert not caplog.records
    EdgeClassifier(state_dir=tmp_path, view="region").close()
    assert "view=region: the rule of trailcam was calibrated for view=both" in caplog.text


def test_the_cloud_gets_the_region_where_that_is_wanted(tmp_path: Path) -> None:
    still = np.full((384, 512, 3), 90, np.uint8)
    visitor = still.copy()
    visitor[120:180, 160:240] = 10
    frames = [Frame(picture, DAWN + timedelta(seconds=step)) for step, picture in enumerate([*[still] * 10, visitor])]
    came: dict[str, tuple[int, ...]] = {}

    def look(request: wire.ClassifyRequest) -> wire.ClassifyReply:
        came[request.frame_id] = decode_image(request.image).image.shape
        return answer(request, "deer")

    with (
        ScriptedServer(lambda request, _: look(request), labels=LABELS) as server,
        EdgeClassifier(
            cloud=server.target, state_dir=tmp_path, threshold=NEVER, gate=MotionGate(), send="region"
        ) as edge,
    ):
        *_, (last, _) = edge.watch(frames)
        assert len(list(edge.late_answers(wait_s=30))) == len(came)
    height, width, _ = came.pop(last.frame_id)
    assert 120 <= height < 200 and 160 <= width < 260
    assert set(came.values()) == {(240, 320, 3)}  # the bundle's cheapest encoding of a whole frame


def test_bad_settings_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for bad in (
        {"budget": "5MB"},
        {"compute_budget": "lots"},
        {"cloud": "vm"},
        {"threshold": -1.0},
        {"threshold": 95},
        {"on_answer": "x"},
        {"budget": 5_000_000},
        {"spool_bytes": -1},
        {"gate": True},
    ):
        with pytest.raises(ConfigError, match="expected"):
            EdgeClassifier(state_dir=state, **bad)
    with pytest.raises(BundleError):
        EdgeClassifier(tmp_path / "no-bundle", state_dir=state)
    assert not state.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="state folder"):
        EdgeClassifier(state_dir=tmp_path / "file" / "state")


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    edge = EdgeClassifier(state_dir=tmp_path)
    edge.close()
    edge.close()


def with_policy(tmp_path: Path, policy: Policy) -> Path:
    """A tiny bundle with a policy of its own."""
    return write_tiny_bundle(tmp_path / "bundle", policy).path


def test_a_learned_gate_decides_by_the_expected_gain(tmp_path: Path) -> None:
    def gate(gain: float, limit: float) -> Policy:
        return Policy(threshold=0.0, gate=GainTable((0.0, 1.0), ((gain, gain),) * 3, exit_at_or_below=limit))

    with EdgeClassifier(with_policy(tmp_path, gate(0.2, 0.1)), state_dir=tmp_path / "a") as edge:
        assert edge.threshold is None
        said = edge.classify(frame())
        assert (said.final, said.reason) == (False, Reason.UNSURE)
    with EdgeClassifier(with_policy(tmp_path, gate(0.05, 0.1)), state_dir=tmp_path / "b") as edge:
        assert edge.classify(frame()).final
    with EdgeClassifier(tmp_path / "bundle", state_dir=tmp_path / "b", threshold=NEVER) as edge:
        assert not edge.classify(frame()).final  # a threshold of one's own wins over the gate


def test_the_little_model_has_a_voice_where_the_policy_gives_it_one(tmp_path: Path) -> None:
    labels = ("fox", "empty", "deer")

    def nearly_even(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        chances = [1 / 3 + 0.001 * (label == "fox") for label in labels]
        said = wire.Classification(label="fox", confidence=chances[0], probabilities=chances, macs=1000)
        return wire.ClassifyReply(frame_id=request.frame_id, classification=said)

    bundle = with_policy(tmp_path, Policy(threshold=1.0, temperature=0.01, ensemble=0.5))
    with (
        ScriptedServer(nearly_even, labels=labels) as server,
        EdgeClassifier(bundle, cloud=server.target, state_dir=tmp_path / "s", threshold=NEVER) as edge,
    ):
        first = edge.classify(frame())
        late = next(iter(edge.late_answers(wait_s=30)))
    assert late.origin is Origin.CLOUD
    assert late.label == first.label  # the little model's certainty outweighs a tie
    assert late.confidence == pytest.approx(0.5 * first.confidence + 0.5 / 3, abs=0.01)


def test_a_device_notices_that_its_frames_have_changed(tmp_path: Path) -> None:
    usual = Histogram((0.2, 0.9999), (500, 500, 0))
    with EdgeClassifier(with_policy(tmp_path, Policy(confidences=usual)), state_dir=tmp_path / "s") as edge:
        for number in range(210):
            edge.classify(frame(number))
        found = edge.drift()
        assert found is not None and found.frames == 210
        assert found.distance >= 0.4
        few = edge.drift(50)
        assert few is not None and not few.drifted
    with EdgeClassifier(write_tiny_bundle(tmp_path / "plain"), state_dir=tmp_path / "s") as edge:
        assert edge.drift() is None


def test_a_frame_damaged_while_it_waits_makes_the_devices_answer_final(tmp_path: Path, server: ScriptedServer) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=NEVER) as edge:
        bad, good = (edge.classify(frame(number)).frame_id for number in range(2))
    (tmp_path / "frames" / f"{bad}.frame").write_bytes(b"damaged")
    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER) as edge:
        said = {late.frame_id: late for late in edge.late_answers(wait_s=30)}
        assert (said[bad].final, said[bad].origin, said[bad].reason) == (True, Origin.DEVICE, Reason.DAMAGED)
        assert said[bad].label in LABELS
        assert said[good].origin is Origin.CLOUD


def test_a_frame_that_is_too_old_makes_the_devices_answer_final(tmp_path: Path, server: ScriptedServer) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=NEVER) as edge:
        old = edge.classify(frame()).frame_id
    keep = StorageSettings(spool_age_s=1e-6)
    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER, storage=keep) as edge:
        said = {late.frame_id: late for late in edge.late_answers(wait_s=30)}
        late = said.get(old) or edge.journal.get(old)
        assert late is not None
        assert (late.final, late.origin, late.reason) == (True, Origin.DEVICE, Reason.EXPIRED)
    assert server.ids == []


def test_an_answer_that_comes_again_is_counted_once(tmp_path: Path, server: ScriptedServer) -> None:
    """A stop after the answer was written and before its frame left the spool."""
    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER) as edge:
        waiting = edge.classify(frame(), wait_s=300).frame_id
        list(edge.late_answers(wait_s=30))
    item = SpoolItem(waiting, b"jpeg", np.zeros(3, np.float32), 0.5, datetime.now(UTC), "test")
    (tmp_path / "frames" / f"{waiting}.frame").write_bytes(encode_frame(provisional(item), item, 0))
    with EdgeClassifier(cloud=server.target, state_dir=tmp_path, threshold=NEVER) as edge:
        list(edge.late_answers(wait_s=30))
        assert edge.lifetime_usage.answers_cloud == 1
    assert server.ids == [waiting]


def test_losses_without_a_cloud_do_not_pile_up(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=NEVER, spool_bytes=20_000) as edge:
        said = [edge.classify(frame(number)) for number in range(90)]
        assert len(list(edge.journal.query(final=True))) == len(said) - edge.waiting
    assert len(list((tmp_path / "frames").iterdir())) < 20


def test_another_models_frames_on_a_state_folder_are_kept_apart(tmp_path: Path) -> None:
    state, dark = tmp_path / "state", np.zeros((48, 64, 3), np.uint8)
    one = write_fake_bundle(tmp_path / "one")
    two = write_fake_bundle(tmp_path / "two", ("night", "day"))
    newer = write_fake_bundle(tmp_path / "newer")  # the labels of the first

    def edge_of(bundle: Bundle, **options: Any) -> EdgeClassifier:
        return EdgeClassifier(bundle, runtime=FakeRuntime(), state_dir=state, threshold=NEVER, **options)

    with edge_of(one) as edge:
        first = [edge.classify(dark).frame_id for _ in range(3)]
    transport = FakeTransport(("night", "day"))
    with edge_of(two, cloud="127.0.0.1:9", transport=transport) as edge:
        assert (edge.waiting, list(edge.journal.query()), edge.journal.counts()) == (0, [], {})
        second = edge.classify(dark, wait_s=300)
        assert [entry.answer.frame_id for entry in edge.journal.query()] == [second.frame_id]
        assert [item.frame_id for item in transport.sent] == [second.frame_id]
        assert edge.journal.get(first[0]) is not None
    transport = FakeTransport(("dark", "bright"))
    with edge_of(newer, cloud="127.0.0.1:9", transport=transport) as edge:
        assert {late.frame_id for late in edge.late_answers(wait_s=30)} == set(first)
        assert {entry.answer.frame_id for entry in edge.journal.query()} == set(first)


def test_another_models_frames_give_way_where_room_is_short(tmp_path: Path) -> None:
    one = write_fake_bundle(tmp_path / "one")
    two = write_fake_bundle(tmp_path / "two", ("night", "day"))
    made: dict[str, Any] = {
        "runtime": FakeRuntime(),
        "state_dir": tmp_path / "state",
        "threshold": NEVER,
        "spool_bytes": 60_000,
    }
    with EdgeClassifier(one, **made) as edge:
        first = [edge.classify(frame(number)).frame_id for number in range(4)]
        size = edge._parts.store.spool.size_bytes
    with EdgeClassifier(two, **made) as edge:
        while edge._parts.store.spool.size_bytes + size <= 60_000:
            edge.classify(frame(7))
        gone = [edge.journal.entry(frame_id) for frame_id in first]
        assert Reason.EVICTED in {entry.answer.reason for entry in gone if entry is not None}
    with EdgeClassifier(one, **made) as edge:
        assert edge.waiting < 4


def test_who_holds_the_state_folder_is_named(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path), pytest.raises(StorageError, match="this process has it open already"):
        EdgeClassifier(state_dir=tmp_path)


def test_of_a_camera_module_only_what_is_looked_at_is_read_out(tmp_path: Path) -> None:
    bundle = write_fake_bundle(tmp_path / "fake")
    with (
        fake_picamera2(lambda number: np.full((120, 160, 3), 90 + number % 2, np.uint8)) as made,
        open_camera("picamera2://?size=640x480") as camera,
        EdgeClassifier(bundle, runtime=FakeRuntime(), state_dir=tmp_path / "state", gate=MotionGate()) as edge,
    ):
        frames = islice(camera, 30)
        answered = [frame.frame_id for frame, _ in edge.watch(frames)]
        assert made[0].read_out["main"] == len(answered) < 12


def test_frames_of_before_motion_are_answered_first_and_belong_to_its_event(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(60, 70, (120, 160, 3), np.uint8) for _ in range(16)]
    pictures[12][30:90, 40:100] = 200
    shots = [Frame(one, DAWN + timedelta(seconds=number / 5), "cam") for number, one in enumerate(pictures)]
    gate = MotionGate(MotionSettings(before_frames=3, hold_s=0.5, hold_frames=0))
    bundle = write_fake_bundle(tmp_path / "fake")
    with EdgeClassifier(bundle, runtime=FakeRuntime(), state_dir=tmp_path / "state", gate=gate) as edge:
        ids = [shot.frame_id for shot in shots]
        order = [ids.index(frame.frame_id) for frame, _ in edge.watch(shots)]
        entries = list(edge.journal.query(event=ids[9]))
    assert order == [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14]
    assert [entry.answer.frame_id for entry in entries] == ids[9:15]
    assert [entry.trigger for entry in entries] == ["before motion"] * 3 + ["motion"] + ["hold"] * 2
