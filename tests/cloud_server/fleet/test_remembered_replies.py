"""Replies in memory, against a plain list of what was put."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from cloud_server.fleet.remembered_replies import RememberedReplies
from cloud_server.fleet.reply_cache import CachedReply


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 5))
def test_the_latest_replies_are_kept_and_no_more(puts: list[int], rows: int) -> None:
    async def run() -> None:
        replies, order = RememberedReplies(rows), list[int]()
        for turn, number in enumerate(puts):
            await replies.put(b"%d" % number, CachedReply(b"", b"%d" % turn))
            order = [one for one in order if one != number] + [number]
            held = order[-rows:]
            assert len(replies) == len(held)
            assert [one for one in range(10) if b"%d" % one in replies] == sorted(held)
            assert await replies.get(b"%d" % number) == CachedReply(b"", b"%d" % turn)
        await replies.change_source("other", rows)
        assert len(replies) == 0 and await replies.get(b"0") is None
        await replies.close()

    asyncio.run(run())
