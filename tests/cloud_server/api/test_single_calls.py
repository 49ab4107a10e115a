from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from cloud_server.access.authenticator import TooManyStreams
from cloud_server.api.single_calls import SingleCalls


class Ended(Exception):
    """A call was ended with a status."""


class Context:
    def __init__(self, name: str) -> None:
        self.name = name
        self.message: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.written: list[Any] = []
        self.is_read = False

    async def read(self) -> Any:
        self.is_read = True
        return await self.message

    async def write(self, reply: Any) -> None:
        self.written.append(reply)

    async def abort(self, status: grpc.StatusCode, message: str) -> None:
        raise Ended(status.name, message)


async def refuse(context: Any, error: Exception) -> None:
    raise error


async def twice(request: int, context: Any) -> int:
    return 2 * request


def bounded(**limits: int) -> Any:
    calls = SingleCalls(lambda context: context.name, refuse, **limits)
    handler = calls.bounded(grpc.unary_unary_rpc_method_handler(twice))
    assert handler is not None
    return handler.stream_stream


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_message_is_read_when_its_caller_has_a_turn() -> None:
    serve = bounded(reads=2)
    contexts = [*(Context("cam") for _ in range(3)), Context("other")]
    calls = [asyncio.create_task(serve(None, context)) for context in contexts]
    await turn()
    assert [context.is_read for context in contexts] == [True, True, False, True]
    contexts[1].message.set_result(4)
    await calls[1]
    await turn()
    assert contexts[2].is_read
    for context in (contexts[0], contexts[2], contexts[3]):
        context.message.set_result(1)
    await asyncio.gather(*calls)
    assert [context.written for context in contexts] == [[2], [8], [2], [2]]


@pytest.mark.parametrize(("limits", "whose"), [({"per_caller": 2}, "of one device"), ({"total": 2}, "of all devices")])
async def test_one_more_than_may_be_open_is_ended_unread(limits: dict[str, int], whose: str) -> None:
    serve = bounded(**limits)
    contexts = [Context("cam") for _ in range(3)]
    calls = [asyncio.create_task(serve(None, context)) for context in contexts[:2]]
    await turn()
    with pytest.raises(TooManyStreams, match=f"at most 2 open calls {whose}"):
        await serve(None, contexts[2])
    assert not contexts[2].is_read
    for context in contexts[:2]:
        context.message.set_result(1)
    await asyncio.gather(*calls)
    contexts[2].message.set_result(1)
    await serve(None, contexts[2])


async def test_a_call_without_its_message_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    serve = bounded()
    empty = Context("cam")
    empty.message.set_result(grpc.aio.EOF)
    with pytest.raises(Ended, match="INVALID_ARGUMENT"):
        await serve(None, empty)
    monkeypatch.setattr("cloud_server.api.single_calls.MESSAGE_S", 0.01)
    with pytest.raises(Ended, match="DEADLINE_EXCEEDED"):
        await serve(None, Context("cam"))


async def test_streams_stay_as_they_are() -> None:
    handler = grpc.stream_stream_rpc_method_handler(twice)
    calls = SingleCalls(lambda context: "cam", refuse)
    assert calls.bounded(handler) is handler
    assert calls.bounded(None) is None
