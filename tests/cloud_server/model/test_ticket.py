from __future__ import annotations

import asyncio

from cloud_server.model.ticket import Answered, Draining, Ticket


async def test_the_first_result_stays() -> None:
    ticket = Ticket(lambda: None, 1, None, "a", asyncio.Future[Answered](), lambda: None)
    first = Draining("first")
    ticket.fail(first)
    ticket.fail(Draining("second"))
    assert ticket.result.exception() is first
    ticket.drop()
    assert ticket.job is None and ticket.looks is None
