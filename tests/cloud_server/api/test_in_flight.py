from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cloud_server.api.in_flight import InFlight
from edge_sdk.wire import offload_pb2 as wire

KEY = b"key"


class Work:
    """Answers once `gate` is set; `begins` says whether the model takes the frame at once."""

    def __init__(self, *, begins: bool) -> None:
        self.begins, self.gate, self.cancelled = begins, asyncio.Event(), False

    async def __call__(self, on_start: Callable[[], None]) -> wire.Classification:
        if self.begins:
            on_start()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return wire.Classification(label="fox")


async def test_callers_share_one_run() -> None:
    in_flight, work = InFlight(), Work(begins=True)
    run = in_flight.start(KEY, b"", work)
    callers = [asyncio.ensure_future(in_flight.join(KEY, run)) for _ in range(3)]
    await asyncio.sleep(0)
    assert (run.callers, in_flight.get(KEY)) == (3, run)
    work.gate.set()
    assert [reply.label for reply in await asyncio.gather(*callers)] == ["fox"] * 3
    assert KEY not in in_flight


@pytest.mark.parametrize("begins", [True, False])
async def test_only_a_run_that_has_not_begun_leaves_with_its_last_caller(begins: bool) -> None:
    in_flight, work = InFlight(), Work(begins=begins)
    run = in_flight.start(KEY, b"", work)
    callers = [asyncio.ensure_future(in_flight.join(KEY, run)) for _ in range(2)]
    await asyncio.sleep(0)
    for caller in callers:
        assert KEY in in_flight
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
    assert (KEY in in_flight) is begins
    work.gate.set()
    await asyncio.gather(run.task, return_exceptions=True)
    assert work.cancelled is not begins


async def test_cancel_ends_all() -> None:
    in_flight, works = InFlight(), [Work(begins=True) for _ in range(3)]
    for number, work in enumerate(works):
        in_flight.start(bytes([number]), b"", work)
    await asyncio.sleep(0)
    await in_flight.cancel()
    assert [work.cancelled for work in works] == [True] * 3
    assert in_flight.runs == ()
