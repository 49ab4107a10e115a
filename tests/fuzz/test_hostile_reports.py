"""Reports of strangers: whatever they say, the server lives, and keeps nothing that it did not check."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc

from edge_sdk.fleet.answers import ReportedAnswer, pack_answers, unpack_answers
from edge_sdk.fleet.columns import MalformedReport
from edge_sdk.fleet.events import ReportedEvent, pack_events, unpack_events
from edge_sdk.fleet.report_file import FILE, ReportFile
from edge_sdk.fleet.status import unpack_health
from edge_sdk.fleet.words import WordList
from edge_sdk.types import Origin, Reason, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from fuzz.mutator import mutated
from fuzz.victim import serving

IN_FLIGHT = 16
STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.INTERNAL,  # no protobuf of ours
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
COLUMNS = ("id_time", "captured", "utc_offset", "label", "said", "device_label", "source", "model", "event")
NUMBERS = (0, 1, -1, 255, 4_096, 2**31 - 1, 2**32 - 1, -(2**31), 2**48, 2**62, -(2**63), 2**63 - 1)
AT = datetime(2026, 6, 1, tzinfo=UTC)


def honest(words: WordList, rows: int) -> wire.ReportRequest:
    said = Origin.DEVICE, Reason.CONFIDENT
    ids = [new_frame_id() for _ in range(rows)]
    answers = [
        ReportedAnswer(one, AT + timedelta(seconds=number), "cam", "m", "fox", 0.9, *said, "fox", 0.9, ids[0])
        for number, one in enumerate(ids)
    ]
    events = [ReportedEvent(ids[0], "cam", AT, AT + timedelta(seconds=rows), rows, "fox", 0.9, *said)] if rows else []
    request = wire.ReportRequest(
        answers=pack_answers(answers, words),
        events=pack_events(events, words),
        usage=wire.ReportedUsage(frames=9, exits=6),
        health=wire.ReportedHealth(own_names=[1], own_values=[0.5]),
    )
    request.word_list, request.first_word = words.number, 0
    request.words.extend(words.words)
    return request


def hostile(count: int, seed: int) -> Iterator[bytes]:
    """Reports with odd columns, odd words, and mutated or random bytes."""
    chance = random.Random(seed)
    for _ in range(count):
        request = honest(WordList(chance.randrange(1, 5)), chance.choice((0, 1, 5, 100)))
        kind = chance.random()
        if kind < 0.4:
            name = chance.choice(COLUMNS)
            column = getattr(request.answers, name)
            values = [chance.choice(NUMBERS) for _ in range(chance.choice((0, 1, 2, len(column), 5_000)))]
            del column[:]
            for value in values:
                try:
                    column.append(value)
                except ValueError:  # the field is narrower
                    column.append(value & 0x7FFF)
        elif kind < 0.5:
            request.answers.id_rest = chance.randbytes(chance.choice((0, 9, 11, 1_000, 50_000)))
        elif kind < 0.6:
            request.first_word = chance.choice((0, 1, 8_000, 2**32 - 1))
            request.words.extend(
                chance.choice(("\0", "\x1b[2J", "é" * 1000, "")) for _ in range(chance.choice((1, 9_000)))
            )
        elif kind < 0.7:
            request.health.own_values.extend([float("nan"), float("inf")] * chance.choice((1, 500)))
            request.usage.frames = request.sent_ms = 2**64 - 1
        content = request.SerializeToString()
        yield (
            chance.randbytes(chance.randrange(300))
            if kind > 0.95
            else mutated(content, chance)
            if kind > 0.7
            else content
        )


async def attack(address: str, count: int, seed: int) -> Counter[str]:
    said: Counter[str] = Counter()
    pending = hostile(count, seed)
    async with grpc.aio.insecure_channel(address) as channel:
        report = channel.unary_unary("/edge_sdk.v1.Offload/Report")

        async def send() -> None:
            for content in pending:
                try:
                    reply = wire.ReportReply.FromString(await report(content, timeout=600))
                except grpc.aio.AioRpcError as error:
                    assert error.code() in STATUSES, f"{error.code()}: {error.details()}"
                    said[error.code().name] += 1
                    continue
                said["taken" if reply.taken else "not taken"] += 1

        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
    return said


async def test_hostile_reports_leave_a_file_that_can_be_read(tmp_path: Path, fuzz_count: int) -> None:
    reports = tmp_path / "reports"
    with serving(tmp_path / "log", reports) as victim:
        said = await attack(victim.address, fuzz_count, seed=3)
        grown = victim.memory("VmHWM")
    print(f"{fuzz_count} reports: {dict(said)}")
    assert sum(said.values()) == fuzz_count
    assert {"taken", "INVALID_ARGUMENT"} <= said.keys()
    assert grown < 1_500_000_000
    file = ReportFile(reports)
    (device,) = file.devices()
    for one in file.answers(device.device):
        assert len(one.frame_id) == 32 and 0 <= one.confidence <= 1
        assert all(text is None or text.isprintable() for text in (one.label, one.source, one.model))
    assert all(one.ended_at >= one.began_at for one in file.events(device.device))
    with closing(sqlite3.connect(reports / FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_the_decoders_say_only_that_a_report_is_malformed(fuzz_count: int) -> None:
    chance = random.Random(7)
    good = 0
    for _ in range(fuzz_count):
        words = WordList(1)
        content = mutated(honest(words, chance.choice((1, 5, 40))).SerializeToString(), chance)
        try:
            request = wire.ReportRequest.FromString(content)
        except Exception:  # protobuf's own
            continue
        try:
            unpack_answers(request.answers, words.words)
            unpack_events(request.events, words.words)
            unpack_health(request.health, words.words)
            good += 1
        except MalformedReport:
            pass
    assert good
