from __future__ import annotations

import pytest

from cloud_server.fleet.reply_cache import CachedReply

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')


@pytest.mark.filterwarnings("ignore")  # of Ray's own code
async def test_the_first_reply_stays_and_counts_once() -> None:
    from cloud_server.ray_replies import KeptReplies

    replies = KeptReplies(None)
    assert await replies.get(b"1", "a") is None
    await replies.use("a", 10)
    await replies.put(b"1", CachedReply(b"d", b"first"), "a")
    await replies.put(b"1", CachedReply(b"d", b"second"), "a")
    found = await replies.get(b"1", "a")
    assert found is not None and found.classification == b"first"
    assert await replies.kept() == 1
    await replies.use("b", 10)  # another model: its replicas never see the replies of the one before
    assert await replies.get(b"1", "b") is None
    await replies.put(b"2", CachedReply(b"d", b"late"), "a")
    assert await replies.get(b"2", "b") is None
