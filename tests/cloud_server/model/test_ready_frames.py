"""When frames that are ready go to the model; `test_batching` has what the batcher makes of it."""

from __future__ import annotations

import asyncio

import numpy as np

from cloud_server.model.decoders import Decoders
from cloud_server.model.pace import Pace
from cloud_server.model.ready_frames import ReadyFrames
from cloud_server.model.ticket import Ticket

LATE = "late"


def frames(max_batch: int, max_wait_s: float = 0.0) -> ReadyFrames:
    made = ReadyFrames(max_batch, max_wait_s, Pace(), lambda: decoders, lambda: 0.0, lambda one: one.caller == LATE)
    decoders = Decoders(1, made.has_room, made.add, lambda: 0.0, lambda one: False)
    return made


def ticket(caller: str, looks: int = 1) -> Ticket:
    result = asyncio.get_running_loop().create_future()
    made = Ticket(None, 0, None, caller, result, lambda: None)
    made.looks = (np.zeros((1, 1, 3), np.uint8),) * looks
    return made


async def test_callers_take_turns_and_a_batch_is_full_by_its_inputs() -> None:
    ready = frames(3)
    own = {caller: [ticket(caller) for _ in range(3)] for caller in ("a", "b")}
    for one in [*own["a"], *own["b"], twice := ticket("c", looks=2)]:
        ready.add(one)
    first = await ready.batch()
    assert first[:2] == [own["a"][0], own["b"][0]] and len(ready) == 7 - len(first)
    rest = [one for _ in range(3) if len(ready) for one in await ready.batch()]
    assert {id(one) for one in [*first, *rest]} == {id(one) for one in [*own["a"], *own["b"], twice]}


async def test_what_has_left_or_is_late_is_in_no_batch() -> None:
    ready = frames(4)
    gone, late = ticket("a"), ticket(LATE)
    ready.add(gone)
    ready.add(late)
    ready.remove(gone)
    assert await ready.batch() == [] and len(ready) == 0
    waiting = asyncio.create_task(ready.batch())
    await asyncio.sleep(0)
    assert not waiting.done()  # nothing is there any more
    ready.add(one := ticket("b"))
    assert await waiting == [one]


async def test_a_batch_with_a_window_goes_once_it_is_full() -> None:
    ready = frames(2, max_wait_s=3600.0)
    waiting = asyncio.create_task(ready.batch())
    ready.add(first := ticket("a"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    ready.add(second := ticket("a"))
    assert await waiting == [first, second]


async def test_two_batches_are_decoded_ahead() -> None:
    ready = frames(2)
    assert ready.has_room(3) and not ready.has_room(4)
    ready.add(ticket("a"))
    assert not ready.has_room(3)
