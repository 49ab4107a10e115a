"""Late answers reach whoever waits, once."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

from edge_sdk.pipeline.late import LateAnswers
from edge_sdk.types import Answer, Origin, Reason


def answer(frame_id: str) -> Answer:
    return Answer(frame_id, datetime.now(UTC), "test", "deer", 0.9, Origin.CLOUD, True, Reason.CLOUD)


def never() -> bool:
    return False


def always() -> bool:
    return True


def test_they_come_in_order_and_once() -> None:
    late = LateAnswers()
    assert late.take() is None
    assert [late.put(answer(name)) for name in "abc"] == [True] * 3
    assert [one.frame_id for one in late.each(0, never)] == ["a", "b", "c"]
    assert list(late.each(0, always)) == []


def test_who_waits_for_a_frame_gets_its_answer_and_nobody_else_does() -> None:
    late = LateAnswers()
    with late.wait_for("a") as waiter:
        assert waiter.result(0) is None
        assert late.put(answer("b"))
        assert not late.put(answer("a"))
        said = waiter.result(30)
        assert said is not None and said.frame_id == "a"
    assert [one.frame_id for one in late.each(0, never)] == ["b"]


def test_an_answer_that_was_not_taken_goes_the_usual_way() -> None:
    told: list[Answer] = []
    late = LateAnswers(told.append)
    with late.wait_for("a") as waiter:
        assert waiter.result(0) is None
        late.put(answer("a"))
    assert [one.frame_id for one in told] == ["a"]
    assert [one.frame_id for one in late.each(0, never)] == ["a"]
    with late.wait_for("b"):
        pass
    assert late.put(answer("b"))  # nobody waits any longer


def test_closing_ends_every_wait() -> None:
    late = LateAnswers()
    results: list[object] = []
    with late.wait_for("a") as waiter:
        waits = [
            threading.Thread(target=lambda: results.append(waiter.result(60))),
            threading.Thread(target=lambda: results.append(list(late.each(60, always)))),
        ]
        for wait in waits:
            wait.start()
        late.close()
        for wait in waits:
            wait.join(30)
    assert None in results and [] in results
    with late.wait_for("b") as waiter:
        assert waiter.result(60) is None


def test_a_callback_that_fails_keeps_nothing_from_the_next() -> None:
    told: list[str] = []

    def tell(one: Answer) -> None:
        told.append(one.frame_id)
        raise RuntimeError("the application's own")

    LateAnswers(tell).tell(answer("a"), answer("b"))
    assert told == ["a", "b"]


async def test_asyncio_waits_without_a_thread() -> None:
    late = LateAnswers()
    seen = asyncio.Event()

    async def listen() -> list[str]:
        names = []
        async for one in late.each_async(60, always):
            names.append(one.frame_id)
            seen.set()
        return names

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    threading.Thread(target=late.put, args=(answer("a"),)).start()
    await asyncio.wait_for(seen.wait(), 30)
    with late.wait_for("b") as waiter:
        threading.Thread(target=late.put, args=(answer("b"),)).start()
        said = await waiter.result_async(30)
        assert said is not None and said.frame_id == "b"
    late.close()
    assert await asyncio.wait_for(listening, 30) == ["a"]
