"""Events on their way to the application."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from edge_sdk.pipeline.event_news import EventNews
from edge_sdk.pipeline.event_thread import EventThread
from edge_sdk.types import Event

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
EVENT = Event("e1", "cam", NOON, NOON, 1, "fox", 0.9, "e1", final=False)
FINAL = replace(EVENT, final=True, revision=2)


def test_events_are_told_and_given_in_their_order() -> None:
    told: list[Event] = []
    news = EventNews(told.append)
    news.put(EVENT)
    news.put(FINAL)
    assert told == []
    news.tell()
    assert told == [EVENT, FINAL] == list(news.each(0, lambda: False))


def test_who_waits_for_a_last_word_gets_it_and_takes_it_from_nobody() -> None:
    news = EventNews()
    news.put(EVENT)
    assert news.wait("e1", 0) is None and news.last_word("e1") is None
    thread = threading.Thread(target=news.put, args=[FINAL])
    thread.start()
    assert news.wait("e1", 30) == FINAL
    thread.join()
    assert list(news.each(0, lambda: False)) == [EVENT, FINAL]


def test_waiting_blocks_no_loop() -> None:
    news = EventNews()

    async def wait() -> tuple[Event | None, Event | None]:
        waits = asyncio.create_task(news.wait_async("e1", 30))
        await asyncio.sleep(0)
        await asyncio.to_thread(news.put, FINAL)
        return await waits, await news.wait_async("e2", 0)

    assert asyncio.run(wait()) == (FINAL, None)


def test_nobody_waits_after_the_end() -> None:
    news = EventNews()
    news.close()
    assert news.wait("e1", 1e9) is None


def test_only_the_latest_last_words_are_remembered() -> None:
    news = EventNews()
    for number in range(1001):
        news.put(replace(FINAL, event_id=str(number)))
    assert news.last_word("0") is None and news.last_word("1000") is not None


def test_the_thread_works_when_woken_and_when_something_is_due() -> None:
    worked, due = threading.Semaphore(0), [1e9]
    thread = EventThread(lambda: due[0], worked.release)
    thread.close()
    thread = EventThread(lambda: due[0], worked.release)
    thread.wake()
    assert worked.acquire(timeout=30)
    due[0] = 0.0
    thread.wake()
    assert worked.acquire(timeout=30) and worked.acquire(timeout=30)
    due[0] = 1e9
    thread.close()


def test_work_that_fails_is_logged_and_does_not_spin(caplog: pytest.LogCaptureFixture) -> None:
    tried = threading.Semaphore(0)

    def fail() -> None:
        tried.release()
        raise RuntimeError("no")

    thread = EventThread(lambda: 0.0, fail)
    thread.wake()
    assert tried.acquire(timeout=30)
    thread.close()
    assert 1 <= caplog.text.count("tried again in") <= 2
