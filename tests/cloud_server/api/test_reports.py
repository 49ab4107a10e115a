from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from gated_model import GatedModel
from sqlalchemy import Engine

from cloud_server.api.reports import MOST_BYTES, ReportDesk
from cloud_server.fleet.database.opening import is_postgresql
from cloud_server.fleet.database.reports import SharedReports
from cloud_server.fleet.report_store import ReportStore
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.errors import StorageError
from edge_sdk.fleet.answers import ReportedAnswer, pack_answers
from edge_sdk.fleet.audits import ReportedAudits, pack_audits
from edge_sdk.fleet.report_file import ReportFile
from edge_sdk.fleet.words import WordList
from edge_sdk.store.audits import AuditCounts
from edge_sdk.types import Origin, Reason, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Any]:
    async with (
        CloudServer(ServerConfig(port=0, reports=tmp_path, burst=1000, max_frames_per_s=1000), GatedModel()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield wire_grpc.OffloadStub(channel)


def answer(label: str = "fox") -> ReportedAnswer:
    frame_id, said = new_frame_id(), (Origin.DEVICE, Reason.CONFIDENT)
    return ReportedAnswer(
        frame_id, datetime(2026, 6, 1, tzinfo=UTC), "cam", "m", label, 1.0, *said, label, 1.0, frame_id
    )


def request(words: WordList, *answers: ReportedAnswer, **fields: Any) -> wire.ReportRequest:
    rows = pack_answers(answers, words)
    return wire.ReportRequest(word_list=words.number, first_word=words.known, words=words.news, answers=rows, **fields)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_a_report_is_kept_under_the_callers_name(stub: Any, tmp_path: Path) -> None:
    words = WordList()
    one = answer()
    reply = await stub.Report(request(words, one, usage=wire.ReportedUsage(frames=9, exits=6)))
    assert reply == wire.ReportReply(taken=True, words_known=3)
    (row,) = ReportFile(tmp_path).devices()
    assert (row.device, row.status.usage.exits) == ("127.0.0.1", 6)
    assert list(ReportFile(tmp_path).answers()) == [one]


async def test_audits_stay_until_others_are_told(stub: Any, tmp_path: Path) -> None:
    words = WordList()
    told = ReportedAudits("trailcam 3", (AuditCounts(0.5, 9, 4, 3, 1, 1),))
    packed = pack_audits(told, words)
    assert (await stub.Report(request(words, answer(), audits=packed))).taken
    words.server_knows(len(words.words))
    assert (await stub.Report(request(words, answer(), usage=wire.ReportedUsage(frames=9)))).taken
    (row,) = ReportFile(tmp_path).devices()
    assert (row.status.audits, row.status.usage.frames) == (told, 9)
    packed.drawn[:] = [10]
    error = await refused(stub.Report(request(words, answer(), audits=packed)))
    assert "expected counts of audits that are parts of one another" in (error.details() or "")


async def test_words_are_sent_once_and_asked_for_where_they_are_not_known(stub: Any, tmp_path: Path) -> None:
    words = WordList()
    reply = await stub.Report(request(words, answer()))
    words.server_knows(reply.words_known)
    second = request(words, answer("deer"))
    assert list(second.words) == ["deer"]
    assert (await stub.Report(second)).taken
    words.number += 1  # as if the server had lost the list
    reply = await stub.Report(request(words, answer()))
    assert (reply.taken, reply.words_known) == (False, 0)
    words.server_knows(reply.words_known)
    assert (await stub.Report(request(words, answer()))).taken
    assert len(list(ReportFile(tmp_path).answers())) == 3


async def test_what_is_malformed_or_too_large_is_refused_and_nothing_of_it_is_kept(stub: Any, tmp_path: Path) -> None:
    broken = request(WordList(), answer())
    broken.answers.label[:] = [99]
    error = await refused(stub.Report(broken))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "expected numbers of at most 3 words; got 99" in (error.details() or "")
    large = wire.ReportRequest(words=["x" * MOST_BYTES])
    assert "expected a report of at most" in ((await refused(stub.Report(large))).details() or "")
    many = wire.ReportRequest(words=[""] * 9000)
    assert "words; got more" in ((await refused(stub.Report(many))).details() or "")
    assert ReportFile(tmp_path).devices() == []


async def test_text_is_data(stub: Any, tmp_path: Path) -> None:
    words = WordList()
    message = request(words, answer())
    message.words[0] = "\x1b[31mfox\nroot"
    await stub.Report(message)
    (found,) = ReportFile(tmp_path).answers()
    assert found.label == r"\x1b[31mfox\nroot"


async def test_a_server_without_a_folder_for_reports_is_as_an_older_one() -> None:
    async with (
        CloudServer(ServerConfig(port=0), GatedModel()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        error = await refused(wire_grpc.OffloadStub(channel).Report(wire.ReportRequest()))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_device_that_reports_without_end_is_held_back(tmp_path: Path) -> None:
    config = ServerConfig(port=0, reports=tmp_path, burst=3, max_frames_per_s=0.001)
    async with (
        CloudServer(config, GatedModel()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = wire_grpc.OffloadStub(channel)
        for _ in range(3):
            await stub.Report(wire.ReportRequest())
        assert (await refused(stub.Report(wire.ReportRequest()))).code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_device_is_told_that_reports_cannot_be_kept_and_the_log_why(caplog: pytest.LogCaptureFixture) -> None:
    class Store:
        why = "the database postgresql://edge@db.internal/fleet does not answer"

        async def words(self, *_: object) -> list[str]:
            if self.why:
                raise StorageError(self.why)
            return []

        async def keep(self, *_: object) -> None: ...

    store = Store()
    desk = ReportDesk(store)  # type: ignore[arg-type]
    for _ in range(3):
        with pytest.raises(StorageError, match=r"^the server cannot keep reports now: send it again later$"):
            await desk.take(wire.ReportRequest(), "cam-1")
    assert [one.getMessage() for one in caplog.records] == [
        f"reports are not kept for now, devices send them again: {store.why}"
    ]
    store.why = ""
    with caplog.at_level("INFO"):
        for _ in range(2):
            assert (await desk.take(wire.ReportRequest(), "cam-1")).taken
    assert [one.getMessage() for one in caplog.records][1:] == ["reports are kept again"]


async def test_the_most_that_the_wire_carries_is_bounded_and_kept_by_any_database(
    engine: Engine, tmp_path: Path
) -> None:
    """Texts of any length, counts of 32 and 64 bits: brought to what can be kept and shown; no report is for ever."""
    store = SharedReports(engine) if is_postgresql(engine) else ReportStore(tmp_path)
    long, whole, half = "w" * 9000 + "\0\x1b\n", (1 << 64) - 1, (1 << 32) - 1
    answers = pack_answers([answer()], WordList(1, ["cam", "m", "fox"]))
    events = wire.ReportedEvents(event_ids=b"e" * 16, began=[0], lasted=[half], frames=[half], label=[4], source=[4])
    told = wire.ReportRequest(
        sent_ms=whole,
        word_list=half,
        words=["cam", "m", "fox", long],
        answers=answers,
        events=events,
        usage=wire.ReportedUsage(
            **{field.name: half for field in wire.ReportedUsage.DESCRIPTOR.fields if field.name != "budgets"},
            budgets=[wire.ReportedBudget(limit=whole, spent=whole, period_s=86_400)] * 9,
        ),
        health=wire.ReportedHealth(
            sdk=4, python=4, bundle=4, celsius=(1 << 31) - 1, throttled=half, disk_free=whole, own_names=[4, 0],
            own_values=[3e38, 1.0],
        ),
        settings=wire.HeldSettings(takes=True, version=whole, refused=[long] * 9, reason=long),
    )  # fmt: skip
    reply = await ReportDesk(store).take(told, "cam-1")
    assert reply.taken
    await store.close()
    where = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    file = ReportFile(where if is_postgresql(engine) else tmp_path)
    (row,), (event,) = file.devices(), file.events("cam-1")
    assert event.frames == row.status.waiting == (1 << 31) - 1
    health, held = row.status.health, row.status.held
    assert len(event.label or "") == len(event.source) == len(health.bundle) == 200
    assert [len(name) for name in health.own] == [40]
    assert (len(held.refused), max(map(len, held.refused)), len(held.reason)) == (1, 40, 200)
    assert len(row.status.usage.budgets) == 4
    assert all(text.isprintable() for text in (event.source, health.sdk, held.reason, *health.own, *held.refused))
