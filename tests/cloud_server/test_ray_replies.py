from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloud_server.fleet.reply_cache import CachedReply

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')


@pytest.mark.filterwarnings("ignore")  # of Ray's own code
async def test_the_first_reply_stays_and_counts_once() -> None:
    from cloud_server.ray_replies import KeptReplies

    replies = KeptReplies(None)
    assert await replies.get(b"1", "a", 10) is None
    await replies.hold(["a"])
    await replies.put(b"1", CachedReply(b"d", b"first"), "a", 10)
    await replies.put(b"1", CachedReply(b"d", b"second"), "a", 10)
    found = await replies.get(b"1", "a", 10)
    assert found is not None and found.classification == b"first"
    assert await replies.kept() == 1
    await replies.hold(["b"])  # another model: its replicas never see the replies of the one before
    assert await replies.get(b"1", "b", 10) is None
    await replies.put(b"2", CachedReply(b"d", b"late"), "a", 10)
    assert await replies.get(b"2", "b", 10) is None


@pytest.mark.filterwarnings("ignore")
async def test_an_actor_that_starts_again_remembers_at_once(tmp_path: Path) -> None:
    from cloud_server.ray_replies import KeptReplies

    before = KeptReplies(str(tmp_path))
    await before.hold(["one", "two"])
    for version in ("one", "two"):
        await before.put(b"1", CachedReply(b"d", version.encode()), version, 10)
    await before._caches["one"].close()  # as the end of its process does
    await before._caches["two"].close()
    again = KeptReplies(str(tmp_path))  # no replica starts anew, and so none tells it of the versions
    found = await again.get(b"1", "two", 10)
    assert found is not None and found.classification == b"two"
    await again.put(b"2", CachedReply(b"d", b"new"), "two", 10)
    assert await again.get(b"2", "two", 10) is not None
    await again.hold(["two"])
    assert len(os.listdir(tmp_path)) == 1  # of the other version nothing is left
    await again._caches["two"].close()
