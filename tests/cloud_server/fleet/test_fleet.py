"""Servers with a database of the fleet: real ones, on SQLite and on a PostgreSQL that two of them share."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from gated_model import GatedModel, picture
from postgres_server import Postgres
from settings_parts import Operator

from cloud_server.fleet.fleet import Fleet, fleet_place, open_fleet
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.answers import ReportedAnswer, pack_answers
from edge_sdk.fleet.report_file import ReportFile
from edge_sdk.fleet.signed import read_signed
from edge_sdk.fleet.words import WordList
from edge_sdk.types import Origin, Reason, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


def opened(config: ServerConfig) -> Fleet:
    fleet = open_fleet(config)
    assert fleet is not None
    return fleet


def metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def report(words: WordList, **fields: Any) -> wire.ReportRequest:
    frame_id, at = new_frame_id(), datetime(2026, 6, 1, tzinfo=UTC)
    said = "fox", 1.0, Origin.DEVICE, Reason.CONFIDENT, "fox", 1.0
    rows = pack_answers([ReportedAnswer(frame_id, at, "cam", "m", *said, frame_id)], words)
    return wire.ReportRequest(word_list=words.number, first_word=words.known, words=words.news, answers=rows, **fields)


def test_the_database_is_where_it_is_named_or_in_the_state_folder(tmp_path: Path) -> None:
    assert fleet_place("postgresql://a/b", tmp_path) == "postgresql://a/b"
    assert fleet_place("", tmp_path) == tmp_path / "fleet.db"
    assert fleet_place("", None) is None is open_fleet(ServerConfig(port=0, http_port=0))
    with pytest.raises(ConfigError, match="expected --database, or --state FOLDER"):
        open_fleet(ServerConfig(port=0, require_tokens=True))


async def test_an_issued_token_lets_a_device_in_and_a_revoked_one_does_not(tmp_path: Path) -> None:
    config = ServerConfig(port=0, state=tmp_path, require_tokens=True)
    fleet = opened(config)
    token = fleet.tokens.issue("cam-1", "ada")
    async with CloudServer(config, GatedModel()) as server, grpc.aio.insecure_channel(server.address) as channel:
        classify = wire_grpc.OffloadStub(channel).Classify
        request = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1))
        with pytest.raises(grpc.aio.AioRpcError, match="expected `authorization: Bearer TOKEN`"):
            await classify(request)
        assert (await classify(request, metadata=metadata(token))).HasField("classification")
        fleet.tokens.revoke("cam-1", "ada")
        with pytest.raises(grpc.aio.AioRpcError, match="revoked"):
            while True:  # within the second that a refresh takes
                await classify(request, metadata=metadata(token))
    fleet.close()


async def test_wanted_settings_go_out_with_the_reply_to_a_report(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "keys")
    config = ServerConfig(port=0, state=tmp_path, reports=tmp_path, settings_key=operator.key, require_tokens=True)
    fleet, words = opened(config), WordList()
    token = fleet.tokens.issue("cam-1", "ada")
    async with CloudServer(config, GatedModel()) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = wire_grpc.OffloadStub(channel)
        held = wire.HeldSettings(takes=True)
        first = await stub.Report(report(words, settings=held), metadata=metadata(token))
        assert (first.taken, first.settings) == (True, b"")
        change = fleet.settings.put("cam-1", {"threshold": 0.7}, "ada")
        second = await stub.Report(report(WordList(), settings=held), metadata=metadata(token))
        body = read_signed(second.settings).body
        assert (body.device, body.version, body.settings) == ("cam-1", change.changed_ms, {"threshold": 0.7})
    fleet.close()


async def test_two_servers_on_one_database_answer_a_frame_once_and_keep_one_history(
    postgres_process: Postgres, tmp_path: Path
) -> None:
    config = ServerConfig(port=0, database=postgres_process.new_database(), require_tokens=True)
    fleet, models = opened(config), [GatedModel(), GatedModel()]
    token = fleet.tokens.issue("cam-1", "ada")
    request = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1))
    async with CloudServer(config, models[0]) as one, CloudServer(replace(config), models[1]) as two:
        replies = []
        for server in (one, two):
            async with grpc.aio.insecure_channel(server.address) as channel:
                stub = wire_grpc.OffloadStub(channel)
                replies.append(await stub.Classify(request, metadata=metadata(token)))
                assert (await stub.Report(report(WordList()), metadata=metadata(token))).taken
        assert replies[0] == replies[1]
        assert (one.stats.frames, two.stats.frames, two.stats.repeats) == (1, 0, 1)
    assert fleet.reports is not None
    assert len(list(ReportFile(fleet.reports).answers("cam-1"))) == 2
    await asyncio.to_thread(fleet.close)
