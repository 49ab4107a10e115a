from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from postgres_server import postgres
from sqlalchemy import Engine, func, select

from cloud_server.fleet.database.opening import open_database, transaction
from cloud_server.fleet.database.replies import SharedReplies
from cloud_server.fleet.database.tables import replies as table
from cloud_server.fleet.reply_cache import CachedReply, key_of

FIRST, SECOND = CachedReply(b"digest", b"first"), CachedReply(b"digest", b"second")


def key(number: int) -> bytes:
    return key_of("token cam", f"{number:032x}")


def count(engine: Engine) -> int:
    with transaction(engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


async def test_a_reply_of_one_server_is_found_by_another_and_by_no_other_model(shared: Engine) -> None:
    one, two, other = (SharedReplies(shared, name, rows=100) for name in ("model", "model", "other model"))
    assert await one.get(key(1)) is None
    await one.put(key(1), FIRST)
    assert await two.get(key(1)) == FIRST
    assert await other.get(key(1)) is None
    await two.put(key(1), SECOND)  # both computed it: the first one counts
    assert await one.get(key(1)) == FIRST
    await other.change_source("model", 100)
    assert await other.get(key(1)) == FIRST
    await asyncio.gather(one.close(), two.close(), other.close())


async def test_servers_that_write_the_same_frames_at_once_do_not_block_each_other(shared: Engine) -> None:
    servers = [SharedReplies(shared, "model", rows=1000) for _ in range(3)]
    await asyncio.gather(*(one.put(key(number), FIRST) for number in range(200) for one in servers))
    assert count(shared) == 200
    await asyncio.gather(*(one.close() for one in servers))


async def test_the_oldest_leave_first(shared: Engine) -> None:
    now = [0.0]
    replies = SharedReplies(shared, "model", rows=3, clock=lambda: now[0], monotonic=lambda: now[0])
    for number in range(6):
        now[0] += 100
        await replies.put(key(number), FIRST)
    assert [await replies.get(key(number)) is not None for number in range(6)] == [False] * 3 + [True] * 3
    assert len(replies) == 3
    await replies.close()


async def test_while_the_database_is_down_frames_are_answered_and_afterwards_replies_are_kept_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    with postgres(tmp_path) as server:
        engine = open_database(server.new_database())
        replies = SharedReplies(engine, "model", rows=100, monotonic=lambda: now[0])
        await replies.put(key(1), FIRST)
        await asyncio.to_thread(server.kill)
        with caplog.at_level(logging.INFO):
            for number in (2, 3):
                await replies.put(key(number), FIRST)
                assert await replies.get(key(number)) is None
            assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
            await asyncio.to_thread(server.start)
            now[0] += 60
            await replies.put(key(4), FIRST)
        assert "the database answers again" in caplog.text
        assert await replies.get(key(1)) == await replies.get(key(4)) == FIRST
        await replies.close()
        engine.dispose()
