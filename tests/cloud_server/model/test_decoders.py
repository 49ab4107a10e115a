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
