"""Two server processes on one PostgreSQL, which dies and comes back while frames and reports come."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from gated_model import picture
from postgres_server import postgres
from server_parts import serving

from edge_sdk.fleet.answers import ReportedAnswer, pack_answers
from edge_sdk.fleet.report_file import ReportFile
from edge_sdk.fleet.words import WordList
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.types import Origin, Reason, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

FRAMES = 60
TOKEN = new_token()
REPLY_TIMEOUT_S = 30.0
"""As devices have it."""
RETRIES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)


def frame() -> wire.ClassifyRequest:
    return wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1))


def report(ids: list[str]) -> wire.ReportRequest:
    """The same list of words from the start: a server takes what it does not know."""
    words, at = WordList(), datetime(2026, 6, 1, tzinfo=UTC)
    said = "fox", 1.0, Origin.DEVICE, Reason.CONFIDENT, "fox", 1.0
    rows = pack_answers([ReportedAnswer(one, at, "cam", "m", *said, one) for one in ids], words)
    return wire.ReportRequest(word_list=words.number, first_word=0, words=words.news, answers=rows)


async def send_report(stubs: list[Any], ids: list[str]) -> int:
    """Send a report until it is taken, now to one server and then to the other; how often it was refused."""
    refused = 0
    while True:
        for stub in stubs:
            try:
                if (await stub.Report(report(ids))).taken:
                    return refused
            except grpc.aio.AioRpcError as error:
                assert error.code() in RETRIES, error
            refused += 1


async def test_a_database_that_dies_costs_no_answer_and_counts_nothing_twice(tmp_path: Path) -> None:
    with postgres(tmp_path) as database:
        url = database.new_database()
        logs = tmp_path / "one.log", tmp_path / "two.log"
        options = "--database", url
        with serving(logs[0], *options) as (_, one), serving(logs[1], *options) as (_, two):
            async with grpc.aio.insecure_channel(one) as first, grpc.aio.insecure_channel(two) as second:
                stubs = [wire_grpc.OffloadStub(channel) for channel in (first, second)]
                sent = [frame() for _ in range(FRAMES)]
                replies: dict[str, wire.Classification] = {}

                async def classify(requests: list[wire.ClassifyRequest]) -> None:
                    for place, request in enumerate(requests):
                        reply = await stubs[place % 2].Classify(request)
                        assert reply.HasField("classification"), reply.failure
                        replies.setdefault(reply.frame_id, reply.classification)
                        assert replies[reply.frame_id].label == reply.classification.label

                ids = [request.frame_id for request in sent]
                await classify(sent[:20])
                assert await send_report(stubs, ids[:20]) == 0
                await asyncio.to_thread(database.kill)
                await classify(sent[20:40])
                reporting = asyncio.create_task(send_report(stubs, ids[20:40]))
                await classify(sent[20:40])  # repeats, which are computed again meanwhile
                assert not reporting.done()
                await asyncio.to_thread(database.start)
                assert await reporting > 0
                await classify(sent[40:])
                await classify(list(reversed(sent)))  # each at the other server
                assert await send_report(stubs, ids) == 0
            found = [answer.frame_id for answer in ReportFile(url).answers()]
    assert set(replies) == set(ids)
    assert sorted(found) == sorted(ids)
    assert all("replies are not kept for now" in log.read_text() for log in logs)


async def test_a_database_that_hangs_costs_no_answer_and_keeps_no_server_from_its_end(tmp_path: Path) -> None:
    """It takes questions and answers none, as one behind a network that drops everything, or on a disk that hangs."""
    with postgres(tmp_path) as database:
        url = database.new_database()
        logs = tmp_path / "one.log", tmp_path / "two.log"
        options = "--database", url, "--require-tokens", "--tokens", tmp_path / "tokens"
        add_token(tmp_path / "tokens", "cam", TOKEN)
        told = (("authorization", f"Bearer {TOKEN}"),)
        with serving(logs[0], *options) as (one_process, one), serving(logs[1], *options) as (_, two):
            async with grpc.aio.insecure_channel(one) as first, grpc.aio.insecure_channel(two) as second:
                stubs = [wire_grpc.OffloadStub(channel) for channel in (first, second)]

                async def classify(requests: list[wire.ClassifyRequest], stubs: list[Any]) -> list[wire.Classification]:
                    calls = [
                        stubs[place % len(stubs)].Classify(request, timeout=REPLY_TIMEOUT_S, metadata=told)
                        for place, request in enumerate(requests)
                    ]
                    return [(await call).classification for call in calls]

                sent = [frame() for _ in range(FRAMES)]
                before = await classify(sent[:20], stubs)
                try:
                    database.hold()
                    for start in range(20, FRAMES, 10):
                        await classify(sent[start : start + 10], stubs)
                    with suppress(grpc.aio.AioRpcError):  # refused, to be sent again
                        await stubs[0].Report(report(["f" * 32]), timeout=REPLY_TIMEOUT_S, metadata=told)
                        raise AssertionError("a report was taken that nothing keeps")
                    one_process.terminate()
                    assert await asyncio.to_thread(one_process.wait, 60) == 0
                finally:
                    database.release()
                after = await classify(sent[:20], stubs[1:])
                while "the database answers again: replies are kept" not in logs[1].read_text():
                    await classify([frame()], stubs[1:])
    assert [one.label for one in before] == [one.label for one in after]
    assert all("replies are not kept for now" in log.read_text() for log in logs)
