"""Who is let in: tokens, certificates, rates and streams on a real server."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from gated_model import GatedModel, picture
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cloud_server.access.authenticator import Authenticator, address_of
from cloud_server.access.tls import TlsFiles
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority
from edge_sdk.security.credentials import Security, open_channel
from edge_sdk.security.tokens import add_token, hash_token, new_token, remove_token
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

CONFIG = ServerConfig(port=0, max_batch=4)
Code = wire.Failure.Code


def request(level: int = 0, frame_id: str | None = None) -> wire.ClassifyRequest:
    return wire.ClassifyRequest(frame_id=frame_id or new_frame_id(), image=picture(level))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@asynccontextmanager
async def serving(model: GatedModel | None = None, **change: Any) -> AsyncIterator[tuple[CloudServer, Any]]:
    async with (
        CloudServer(dataclasses.replace(CONFIG, **change), model or GatedModel()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield server, wire_grpc.OffloadStub(channel)


async def status_of(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code(), error.value.details() or ""


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    made = {"cam-1": new_token(), "cam-2": new_token()}
    for name, token in made.items():
        add_token(tmp_path / "tokens", name, token)
    return made


async def test_a_known_token_is_let_in_and_no_other(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with serving(tokens=tmp_path / "tokens") as (server, stub):
        good = bearer(tokens["cam-1"])
        assert (await stub.Describe(wire.DescribeRequest(), metadata=good)).model == "gated"
        assert (await stub.Classify(request(2), metadata=good)).classification.label == "deer"
        assert (await stub.Classify(request(), metadata=(("authorization", f"bearer {tokens['cam-2']}"),))).HasField(
            "classification"
        )
        for metadata in (
            None,
            bearer(new_token()),
            bearer(""),
            (("authorization", tokens["cam-1"]),),
            (("authorization", f"Basic {tokens['cam-1']}"),),
            (*good, *good),
        ):
            for call in (stub.Describe(wire.DescribeRequest(), metadata=metadata),):
                code, _ = await status_of(call)
                assert code is grpc.StatusCode.UNAUTHENTICATED
            assert (await status_of(stub.Classify(request(), metadata=metadata)))[0] is code
            assert (await status_of(stub.Stream(metadata=metadata).read()))[0] is code
        assert server.stats.take().refusals == 18


async def test_a_stranger_is_turned_away_before_its_message_is_read(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with serving(tokens=tmp_path / "tokens") as (server, _), grpc.aio.insecure_channel(server.address) as channel:
        call = channel.stream_unary("/edge_sdk.v1.Offload/Classify", request_serializer=bytes)()
        assert (await status_of(call))[0] is grpc.StatusCode.UNAUTHENTICATED  # though no message was ever sent
        assert server.stats.take().refusals == 1


async def test_health_needs_no_token(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with serving(tokens=tmp_path / "tokens") as (server, _), grpc.aio.insecure_channel(server.address) as channel:
        said = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert said.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_revoked_token_ends_at_its_next_frame(tmp_path: Path, tokens: dict[str, str]) -> None:
    path = tmp_path / "tokens"
    async with serving(tokens=path) as (_, stub):
        streams = {name: stub.Stream(metadata=bearer(token)) for name, token in tokens.items()}
        for stream in streams.values():
            await stream.write(request())
            assert (await stream.read()).HasField("classification")
        remove_token(path, "cam-1")
        for stream in streams.values():
            await stream.write(request())
        code, message = await status_of(streams["cam-1"].read())
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert "revoked" in message
        assert (await streams["cam-2"].read()).HasField("classification")
        assert (await status_of(stub.Classify(request(), metadata=bearer(tokens["cam-1"]))))[0] is code

        add_token(path, "cam-3", token := new_token())
        assert (await stub.Classify(request(), metadata=bearer(token))).HasField("classification")


async def test_a_tokens_file_that_is_gone_locks_no_one_out(
    tmp_path: Path, tokens: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tokens"
    async with serving(tokens=path) as (_, stub):
        text = path.read_text()
        path.unlink()
        for _ in range(3):
            assert (await stub.Describe(wire.DescribeRequest(), metadata=bearer(tokens["cam-1"]))).model == "gated"
            code, _ = await status_of(stub.Describe(wire.DescribeRequest(), metadata=bearer(new_token())))
            assert code is grpc.StatusCode.UNAUTHENTICATED
        assert sum("stay valid until it can be read" in record.getMessage() for record in caplog.records) == 1
        (tmp_path / "new").write_text(text.replace("cam-2", "cam/2"))
        (tmp_path / "new").rename(path)
        assert (await stub.Describe(wire.DescribeRequest(), metadata=bearer(tokens["cam-1"]))).model == "gated"
        assert (await status_of(stub.Describe(wire.DescribeRequest(), metadata=bearer(tokens["cam-2"]))))[0] is code
        assert "line 3: expected a device name" in caplog.text


async def test_who_is_refused_is_told_by_name(
    tmp_path: Path, tokens: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tokens=tmp_path / "tokens", max_frames_per_s=0.001, burst=1) as (_, stub):
        one, two = (bearer(token) for token in tokens.values())
        for _ in range(20):
            await stub.Classify(request(), metadata=one)
        remove_token(tmp_path / "tokens", "cam-2")
        stranger = new_token()
        for metadata in (two, bearer(stranger), None):
            for _ in range(20):
                await status_of(stub.Describe(wire.DescribeRequest(), metadata=metadata))
    told = [message for message in caplog.messages if message.startswith("refused")]
    assert len(told) == 4
    assert told[0].startswith("refused a frame of token cam-1: expected at most 0.001 frames/s")
    for said, words in zip(told[1:], ("once that of cam-2", hash_token(stranger)[:12], "no token"), strict=True):
        assert said.startswith("refused a call from 127.0.0.1 (")
        assert words in said


def test_a_tokens_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the tokens file"):
        Authenticator(tmp_path / "none")
    (tmp_path / "bad").write_text("cam\n")
    with pytest.raises(ConfigError, match="line 1"):
        Authenticator(tmp_path / "bad")


async def test_the_token_is_in_no_log(tmp_path: Path, tokens: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tokens=tmp_path / "tokens") as (_, stub):
        await stub.Classify(request(), metadata=bearer(tokens["cam-1"]))
        stranger = new_token()
        await status_of(stub.Describe(wire.DescribeRequest(), metadata=bearer(stranger)))
    assert "refused a call" in caplog.text
    for token in (*tokens.values(), stranger):
        assert token not in caplog.text


async def test_one_device_cannot_read_or_spoil_anothers_answers(tmp_path: Path, tokens: dict[str, str]) -> None:
    model = GatedModel()
    async with serving(model, tokens=tmp_path / "tokens") as (_, stub):
        one, two = (bearer(token) for token in tokens.values())
        asked, forged = request(1), request(2)
        forged.frame_id = asked.frame_id
        model.batches.clear()
        assert (await stub.Classify(forged, metadata=two)).classification.label == "deer"
        assert (await stub.Classify(asked, metadata=one)).classification.label == "grey fox"
        assert (await stub.Classify(forged, metadata=one)).failure.code == Code.BAD_REQUEST
        assert model.batches == [[2], [1]]


async def test_a_device_that_sends_too_fast_is_held_up_in_band(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with serving(tokens=tmp_path / "tokens", max_frames_per_s=0.001, burst=3) as (_, stub):
        stream = stub.Stream(metadata=bearer(tokens["cam-1"]))
        replies = []
        for _ in range(5):
            await stream.write(request())
            replies.append(await stream.read())
        assert [reply.HasField("classification") for reply in replies] == [True, True, True, False, False]
        assert replies[-1].failure.code == Code.OVERLOADED
        assert "0.001 frames/s" in replies[-1].failure.message
        assert (await stub.Classify(request(), metadata=bearer(tokens["cam-2"]))).HasField("classification")


async def test_streams_are_bounded_for_each_device_and_for_all(tmp_path: Path, tokens: dict[str, str]) -> None:
    one, two = (bearer(token) for token in tokens.values())
    async with serving(tokens=tmp_path / "tokens", max_streams=3, max_streams_per_device=2) as (_, stub):

        async def opened(metadata: Any) -> Any:
            stream = stub.Stream(metadata=metadata)
            await stream.write(request())
            assert (await stream.read()).HasField("classification")
            return stream

        first, _ = [await opened(one) for _ in range(2)]
        code, message = await status_of(stub.Stream(metadata=one).read())
        assert (code, "2 streams of one device" in message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
        await opened(two)
        code, message = await status_of(stub.Stream(metadata=two).read())
        assert (code, "at most 3 streams" in message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
        await first.done_writing()
        assert await first.read() is grpc.aio.EOF
        await opened(one)


async def test_a_connection_holds_a_bounded_number_of_calls() -> None:
    """What is beyond the HTTP/2 limit waits in the client, or is turned away unread."""
    model = GatedModel()
    async with serving(model, queue=1000) as (server, stub):
        model.shut()
        calls = [asyncio.ensure_future(stub.Classify(request())) for _ in range(140)]
        while server._batcher.pending < 128:  # noqa: ASYNC110 - it happens in another task, without an event
            await asyncio.sleep(0)
        async with grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as other:
            for _ in range(20):  # as many round trips as the rest would need to come in
                await wire_grpc.OffloadStub(other).Describe(wire.DescribeRequest())
        assert server._batcher.pending == 128
        model.gate.set()
        replies = await asyncio.gather(*calls, return_exceptions=True)
        turned_away = [reply for reply in replies if isinstance(reply, grpc.aio.AioRpcError)]
        assert len(replies) - len(turned_away) >= 128
        assert {error.code() for error in turned_away} <= {grpc.StatusCode.UNAVAILABLE}


Certified = Callable[..., AbstractAsyncContextManager[tuple[CloudServer, Authority]]]


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    @asynccontextmanager
    async def run(**change: Any) -> AsyncIterator[tuple[CloudServer, Authority]]:
        authority = Authority(tmp_path / "keys")
        pair = authority.issue_server(["127.0.0.1", "vm.example"])
        tls = TlsFiles(pair.cert, pair.key, authority.files.cert)
        config = dataclasses.replace(CONFIG, tls=tls, **change)
        async with CloudServer(config, GatedModel()) as server:
            yield server, authority

    return run


async def test_a_device_is_known_by_its_certificate(certified: Certified) -> None:
    async with certified(max_frames_per_s=0.001, burst=1) as (server, authority):
        ca = authority.files.cert
        for name in ("cam-1", "cam-2"):
            pair = authority.issue_device(name)
            security = Security(ca=ca, cert=pair.cert, key=pair.key)
            async with open_channel(server.address, server.address, security) as channel:
                stub = wire_grpc.OffloadStub(channel)
                assert (await stub.Classify(request())).HasField("classification")
                assert (await stub.Classify(request())).failure.code == Code.OVERLOADED
        async with open_channel(server.address, server.address, Security(ca=ca)) as channel:
            code, _ = await status_of(wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest()))
            assert code is grpc.StatusCode.UNAVAILABLE


async def test_the_servers_name_is_checked_though_a_relay_is_dialled(certified: Certified, tmp_path: Path) -> None:
    async with certified() as (server, authority):
        host, port = server.address.split(":")

        relays: list[asyncio.Task[None]] = []

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            relays.append(asyncio.current_task())  # type: ignore[arg-type]
            there, back = await asyncio.open_connection(host, int(port))
            await asyncio.gather(copy(reader, back), copy(there, writer))

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while data := await source.read(65_536):
                    target.write(data)
                    await target.drain()
            target.close()
            with suppress(ConnectionError):
                await target.wait_closed()

        path = tmp_path / "relay"
        pair = authority.issue_device("cam")
        security = Security(ca=authority.files.cert, cert=pair.cert, key=pair.key)
        async with await asyncio.start_unix_server(relay, path):
            for name, code in (("vm.example:50051", None), ("elsewhere:50051", grpc.StatusCode.UNAVAILABLE)):
                async with open_channel(f"unix:{path}", name, security) as channel:
                    call = wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest())
                    if code is None:
                        assert (await call).model == "gated"
                    else:
                        assert (await status_of(call))[0] is code
            await asyncio.gather(*relays)


def test_listening_for_other_machines_takes_a_certificate_or_a_word(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "[::]", "10.0.0.5", "vm.example"):
        with pytest.raises(ConfigError, match=f"expected an encrypted link on {host.replace('[', '.')[:1]}") as caught:
            ServerConfig(host=host)
        for way in ("--tls-cert", "edge-sdk keys make", "127.0.0.1", "--insecure"):
            assert way in str(caught.value)
        ServerConfig(host=host, insecure=True)
        ServerConfig(host=host, tls=TlsFiles(tmp_path / "cert", tmp_path / "key"))


async def test_certificates_that_cannot_be_used_stop_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    pair, other = authority.issue_server(["127.0.0.1"]), authority.issue_device("cam")
    for tls, message in (
        (TlsFiles(tmp_path / "none", pair.key), "No such file"),
        (TlsFiles(pair.cert, other.key), "the key is that of another certificate"),
        (TlsFiles(pair.cert, pair.key, pair.key), "PEM certificates of an authority"),
    ):
        with pytest.raises(ConfigError, match=message):
            await CloudServer(dataclasses.replace(CONFIG, tls=tls), GatedModel()).start()
    os.chmod(pair.key, 0o644)
    async with CloudServer(dataclasses.replace(CONFIG, tls=TlsFiles(pair.cert, pair.key)), GatedModel()):
        assert "every user of this machine may read the key" in caplog.text


def test_addresses_without_their_ports() -> None:
    assert address_of("ipv4:1.2.3.4:567") == "1.2.3.4"
    assert address_of("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:567") == "2001:db8:1:2::"
    assert address_of("ipv6:[::ffff:1.2.3.4]:567") == "1.2.3.4"
    assert address_of("unix:/run/socket") == "unix"
    assert address_of("") == ""


async def test_reflection_is_off() -> None:
    async with serving() as (server, _), grpc.aio.insecure_channel(server.address) as channel:
        for version in ("v1", "v1alpha"):
            call = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")()
            assert (await status_of(call.read()))[0] is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_compressed_message_is_refused(algorithm: grpc.Compression) -> None:
    model = GatedModel()
    async with serving(model) as (_, stub):
        model.batches.clear()
        bomb = wire.ClassifyRequest(frame_id=new_frame_id(), image=bytes(20 << 20))  # a few kB on the wire
        code, message = await status_of(stub.Classify(bomb, compression=algorithm))
        assert code is grpc.StatusCode.UNIMPLEMENTED
        assert "is disabled" in message
        assert (await stub.Classify(request())).HasField("classification")
        assert model.batches == [[0]]


async def test_metadata_is_bounded() -> None:
    async with serving() as (_, stub):
        code, _ = await status_of(stub.Describe(wire.DescribeRequest(), metadata=(("x-padding", "x" * 20_000),)))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.Describe(wire.DescribeRequest())).model == "gated"
