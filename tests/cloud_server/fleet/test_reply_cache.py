from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from small_disk import run_on_a_small_disk

from cloud_server.fleet.reply_cache import CachedReply, ReplyCache, key_of, rows_within
from edge_sdk.errors import ConfigError

FIRST = CachedReply(b"digest", b"classification")


def key(number: int, device: str = "token cam") -> bytes:
    return key_of(device, f"{number:032x}")


def set_aside(folder: Path) -> list[Path]:
    return list(folder.glob("answers.db.damaged"))


async def test_an_answer_is_found_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.db"
    store = ReplyCache(path, "model")
    assert await store.get(key(1)) is None
    await store.put(key(1), FIRST)
    assert key(1) in store
    await store.close()
    store = ReplyCache(path, "model")
    assert key(1) in store
    assert await store.get(key(1)) == FIRST
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    await store.close()


def test_what_put_returned_outlives_a_killed_process(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, signal
from pathlib import Path
from cloud_server.fleet.reply_cache import ReplyCache, CachedReply
async def main():
    store = ReplyCache(Path({str(tmp_path / "answers.db")!r}), "model")
    await asyncio.gather(*(store.put({key(0)!r} + bytes([n]), CachedReply(b"d", b"c%d" % n)) for n in range(50)))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9

    async def look() -> None:
        store = ReplyCache(tmp_path / "answers.db", "model")
        assert len(store) == 50
        assert await store.get(key(0) + bytes([49])) == CachedReply(b"d", b"c49")
        await store.close()

    asyncio.run(look())


async def test_answers_that_come_together_are_committed_together(tmp_path: Path) -> None:
    store = ReplyCache(tmp_path / "answers.db", "model")
    commits: list[str] = []
    store._database.connection.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
    await asyncio.gather(*(store.put(key(number), FIRST) for number in range(100)))
    assert len(store) == 100
    assert len(commits) == 1
    await store.close()


async def test_only_the_latest_rows_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    store = ReplyCache(path, "model", rows=3)
    for number in range(5):
        await store.put(key(number), FIRST)
    assert [key(number) in store for number in range(5)] == [False, False, True, True, True]
    assert store._database.connection.execute("SELECT count(*) FROM answer").fetchone() == (3,)
    await store.close()
    store = ReplyCache(path, "model", rows=1)
    assert [key(number) in store for number in range(5)] == [False, False, False, False, True]
    await store.close()


def test_wide_answers_are_fewer() -> None:
    assert rows_within(10) == 65_536
    assert rows_within(21_841) < 3_100
    assert rows_within(21_841) * 4 * 21_841 < 256 << 20
    assert rows_within(10**9) == 1


async def test_another_model_or_label_map_starts_with_nothing(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    store = ReplyCache(path, "model")
    await store.put(key(1), FIRST)
    await store.close()
    for fingerprint in ("other", "model"):
        store = ReplyCache(path, fingerprint)
        assert len(store) == 0
        assert await store.get(key(1)) is None
        await store.close()


def test_a_key_is_of_one_device_and_one_frame() -> None:
    keys = {key(1), key(2), key(1, "token kam"), key(1, ""), key_of("token cam\n0", "0" * 31)}
    assert len(keys) == 5
    assert key_of("cam", "AB" * 16) == key_of("cam", "ab" * 16)


async def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.write_bytes(b"no database" * 1000)
    store = ReplyCache(path, "model")
    await store.put(key(1), FIRST)
    assert await store.get(key(1)) == FIRST
    await store.close()
    assert len(set_aside(tmp_path)) == 1


async def test_a_file_that_is_damaged_under_way_is_set_aside_too(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    store = ReplyCache(path, "model")
    await store.put(key(1), FIRST)
    store._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store._database.close()
    path.write_bytes(b"\xff" * path.stat().st_size)
    store._database._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    await store.put(key(2), FIRST)
    assert key(1) not in store
    assert await store.get(key(2)) == FIRST
    await store.close()
    assert len(set_aside(tmp_path)) == 1


async def test_a_disk_that_fails_stops_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = ReplyCache(tmp_path / "answers.db", "model")
    (pages,) = store._database.connection.execute("PRAGMA page_count").fetchone()
    store._database.connection.execute(f"PRAGMA max_page_count={pages}")
    wide = CachedReply(b"digest", bytes(1 << 20))
    for number in range(3):
        await store.put(key(number), wide)
    assert len(store) == 0
    assert caplog.text.count("not cached for now") == 1
    store._database.connection.execute("PRAGMA max_page_count=100000")
    await store.put(key(3), wide)
    assert await store.get(key(3)) == wide
    await store.close()


async def test_a_file_that_another_server_holds_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    store = ReplyCache(path, "model")
    with pytest.raises(ConfigError, match="another process holds it: name another folder with --state, or none"):
        ReplyCache(path, "model")
    await store.close()


async def test_a_lost_row_is_no_answer(tmp_path: Path) -> None:
    store = ReplyCache(tmp_path / "answers.db", "model")
    await store.put(key(1), FIRST)
    with closing(store._database.connection.execute("DELETE FROM answer")):
        assert await store.get(key(1)) is None
    await store.close()


def test_a_disk_that_is_full_at_the_start_ends_no_start(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
import asyncio, logging
from cloud_server.fleet.reply_cache import CachedReply, ReplyCache

said = []
class Listener(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
logging.basicConfig(handlers=[Listener()])

async def main():
    fill_up()
    for path in (folder / "answers.db", folder / "new" / "answers.db"):
        said.clear()
        cache = ReplyCache(path, "model")
        for number in range(3):
            await cache.put(b"%d" % number, CachedReply(b"digest", b"reply"))
            assert await cache.get(b"%d" % number) is None
        assert sum("replies are not cached for now" in text for text in said) == 1, said
        if path.parent == folder:
            await cache.close()
    make_room()
    await cache.put(b"x", CachedReply(b"digest", b"reply"))
    assert await cache.get(b"x") == CachedReply(b"digest", b"reply")
    await cache.close()

asyncio.run(main())
""",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_state_folder_that_cannot_be_written_is_explained() -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from cloud_server.fleet.reply_cache import ReplyCache\n"
        "os.setuid(4321); ReplyCache(Path(sys.argv[1]) / 'answers.db', 'model')"
    )
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        Path(folder).chmod(0o755)
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    said = f"the state folder {folder} cannot be written by this user (uid 4321): name another folder with --state"
    assert said in done.stderr


async def test_another_label_map_drops_what_was_cached_and_what_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    store = ReplyCache(path, "model")
    await store.put(key(1), FIRST)
    writing = asyncio.ensure_future(store.put(key(2), FIRST))
    await asyncio.sleep(0)
    await store.change_source("other", 10)
    await writing
    assert len(store) == 0
    assert await store.get(key(1)) is None
    await store.put(key(3), FIRST)
    assert await store.get(key(3)) == FIRST
    await store.close()
    store = ReplyCache(path, "other")
    assert [key(number) in store for number in (1, 2, 3)] == [False, False, True]
    await store.close()
