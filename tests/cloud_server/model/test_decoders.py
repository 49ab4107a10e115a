from __future__ import annotations

import asyncio

import numpy as np

from cloud_server.model.decoders import Decoders
from cloud_server.model.ticket import Looks, Ticket

LOOKS: Looks = (np.zeros((1, 1, 3), np.uint8),)


async def test_no_more_is_begun_than_there_is_room_for_and_heavy_jobs_come_second() -> None:
    ready: asyncio.Queue[Ticket] = asyncio.Queue()
    room = 1
    decoders = Decoders(2, lambda decoding: decoding < room, ready.put_nowait)
    made = []
    for number in range(3):
        ticket = Ticket(lambda: None, 1, None, str(number), asyncio.Future(), lambda: None, heavy_job=lambda: LOOKS)
        made.append(ticket)
        decoders.add(ticket)
    assert len(decoders) == 3
    decoders.remove(made[2])
    assert len(decoders) == 2
    assert {(await ready.get()).caller, (await ready.get()).caller} == {"0", "1"}
    assert len(decoders) == 0 and made[0].looks == LOOKS and decoders.one_s > 0
    room = 0
    decoders.add(made[2])
    assert len(decoders) == 1
    decoders.shutdown()


async def test_what_has_waited_too_long_is_not_decoded() -> None:
    ready: asyncio.Queue[Ticket] = asyncio.Queue()
    room, late, begun = 0, list[Ticket](), list[str]()

    def is_late(ticket: Ticket) -> bool:
        if ticket.caller == "late":
            late.append(ticket)
        return ticket.caller == "late"

    def job(name: str) -> Looks:
        begun.append(name)
        return LOOKS

    decoders = Decoders(1, lambda decoding: decoding < room, ready.put_nowait, is_late=is_late)
    for name in ("late", "late", "in time"):
        decoders.add(Ticket(lambda name=name: job(name), 1, None, name, asyncio.Future(), lambda: None))  # type: ignore[misc]
    room = 1
    decoders.go_on()
    assert (await ready.get()).caller == "in time"
    assert begun == ["in time"] and len(late) == 2 and len(decoders) == 0
    decoders.shutdown()
