from __future__ import annotations

import json
import math
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.store.frame_file import encode_item
from edge_sdk.store.spool import Loss, Spool, SpoolItem
from edge_sdk.types import Reason

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def item(frame_id: str, gain: float = 0.5, *, minute: int = 0, size: int = 1000) -> SpoolItem:
    return SpoolItem(
        frame_id=frame_id,
        image=(frame_id.encode() * size)[:size],
        probabilities=np.array([0.25, 0.75], np.float32),
        gain=gain,
        captured_at=NOON + timedelta(minutes=minute),
        source="simulated://trailcam",
    )


def stored_bytes(directory: Path, one: SpoolItem) -> int:
    with Spool(directory) as spool:
        spool.put(one)
        size = spool.size_bytes
        spool.ack(one.frame_id)
    return size


def frame_files(directory: Path) -> set[str]:
    return {path.name for path in (directory / "frames").iterdir()}


def test_what_is_put_comes_back_as_it_was_after_a_restart(tmp_path: Path) -> None:
    captured_at = datetime(2026, 6, 1, 5, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    put = SpoolItem("0a" * 16, b"\xff\xd8jpeg", np.array([0.1, 0.9], np.float32), 0.25, captured_at, "rtsp://camera")
    with Spool(tmp_path) as spool:
        assert spool.put(put) == ()
    with Spool(tmp_path) as spool:
        got = spool.next()
        assert len(spool) == 1
    assert got is not None
    assert (got.frame_id, got.image, got.gain, got.source) == (put.frame_id, put.image, put.gain, put.source)
    assert got.probabilities.dtype == np.float32
    assert np.array_equal(got.probabilities, put.probabilities)
    assert got.captured_at == captured_at
    assert got.captured_at.utcoffset() == captured_at.utcoffset()


def test_numpy_numbers_and_a_source_that_is_no_utf8_are_taken(tmp_path: Path) -> None:
    source = b"fuchs\xfc.jpg".decode("utf-8", "surrogateescape")
    with Spool(tmp_path) as spool:
        spool.put(SpoolItem("a", b"", np.array([1.0]), np.float32(0.5), NOON, source))
        got = spool.next()
    assert got is not None
    assert (got.gain, got.source, got.probabilities.dtype) == (0.5, r"fuchs\udcfc.jpg", np.float32)


def test_highest_gain_first_then_the_oldest(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        for one in (item("low", 0.1), item("young", 0.9, minute=2), item("old", 0.9, minute=1), item("mid", 0.5)):
            spool.put(one)
        assert spool.ids() == ("old", "young", "mid", "low")
        taken = []
        while (got := spool.next(exclude=taken)) is not None:
            taken.append(got.frame_id)
        assert taken == ["old", "young", "mid", "low"]
        assert len(spool) == 4


def test_the_most_gain_per_byte_goes_first_and_waiting_counts(tmp_path: Path) -> None:
    day = 24 * 60
    with Spool(tmp_path) as spool:
        spool.put(item("large", 0.9, size=4000))
        spool.put(item("small", 0.5, size=1000))
        assert spool.ids() == ("small", "large")
        spool.put(item("later", 0.5, size=1000, minute=2 * day))
        spool.put(item("better", 0.9, size=800, minute=2 * day))
        assert spool.ids() == ("small", "better", "large", "later")  # two days count four times
        spool.put(item("best", 0.9, size=80, minute=2 * day))
        assert spool.ids()[0] == "best"


def test_ack_removes_row_and_file_once(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.put(item("a"))
        spool.put(item("b"))
        for _ in range(2):
            spool.ack("a")
            assert spool.ids() == ("b",)
            assert len(spool) == 1
        assert frame_files(tmp_path) == {"b.frame"}
        spool.ack("b")
        assert (len(spool), spool.size_bytes, spool.next()) == (0, 0, None)


def test_ack_of_a_path_touches_nothing_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside.frame"
    outside.write_bytes(b"")
    with Spool(tmp_path / "spool") as spool:
        spool.ack("../../outside")
    assert outside.exists()


def test_the_same_id_twice_is_stored_once(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.put(item("a", 0.5, size=100))
        before = spool.size_bytes
        assert spool.put(item("a", 0.9, size=9000)) == ()
        assert (len(spool), spool.size_bytes) == (1, before)


def test_the_least_valuable_frames_make_room(tmp_path: Path) -> None:
    size = stored_bytes(tmp_path, item("a"))
    with Spool(tmp_path, max_bytes=3 * size) as spool:
        for frame_id, gain, minute in (("a", 0.3, 0), ("b", 0.2, 1), ("c", 0.2, 2)):
            assert spool.put(item(frame_id, gain, minute=minute)) == ()
        assert spool.put(item("d", 0.9)) == ("c",)
        assert spool.put(item("e", 0.1)) == ("e",)
        assert spool.put(item("f", 0.8, size=2000)) == ("b", "a")
        assert spool.ids() == ("d", "f")
        assert spool.size_bytes <= 3 * size
    assert frame_files(tmp_path) == {"d.frame", "f.frame"}


def test_a_frame_larger_than_the_spool_is_evicted_at_once_and_alone(tmp_path: Path) -> None:
    with Spool(tmp_path, max_bytes=5000) as spool:
        spool.put(item("a", 0.1))
        assert spool.put(item("b", 0.9, size=6000)) == ("b",)
        assert spool.ids() == ("a",)


puts = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.1, 0.2, 0.3]), st.integers(1, 900)), max_size=25)


@settings(max_examples=40, deadline=None)
@given(puts=puts, acked=st.integers(0, 9))
def test_it_keeps_what_a_sorted_list_would_keep(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[int, float, int]], acked: int
) -> None:
    max_bytes = 2000
    model: dict[str, tuple[float, int, str, int]] = {}
    directory = tmp_path_factory.mktemp("spool")
    with Spool(directory, max_bytes=max_bytes) as spool:
        for minute, (number, gain, size) in enumerate(puts):
            frame_id = f"f{number}"
            before = spool.size_bytes
            evicted = spool.put(item(frame_id, gain, minute=minute, size=size))
            if frame_id not in model:
                file = directory / "frames" / f"{frame_id}.frame"
                if evicted != (frame_id,):
                    grown = spool.size_bytes - before + sum(model[name][3] for name in evicted)
                    assert grown == file.stat().st_size
                    days = minute / 1440
                    model[frame_id] = (days - math.log2(gain / size), minute, frame_id, grown)
                worst_first = sorted(model.values(), reverse=True)
                assert (
                    evicted == (frame_id,)
                    or list(evicted) == [name for _, _, name, _ in worst_first if name != frame_id][: len(evicted)]
                )
                for name in evicted:
                    model.pop(name, None)
            else:
                assert evicted == ()
            if number == acked:
                spool.ack(frame_id)
                model.pop(frame_id, None)
            assert spool.size_bytes == sum(entry[3] for entry in model.values()) <= max_bytes
            assert spool.ids() == tuple(name for _, _, name, _ in sorted(model.values()))
    with Spool(directory, max_bytes=max_bytes) as spool:
        assert spool.ids() == tuple(name for _, _, name, _ in sorted(model.values()))


def test_listeners_hear_of_what_is_put_in_the_thread_that_puts(tmp_path: Path) -> None:
    heard: list[int] = []
    size = stored_bytes(tmp_path, item("a"))
    with Spool(tmp_path, max_bytes=size) as spool:
        spool.add_listener(lambda: heard.append(threading.get_ident()))
        thread = threading.Thread(target=spool.put, args=(item("a"),))
        thread.start()
        thread.join()
        spool.put(item("b", 0.1))
        assert heard == [thread.ident]


def test_one_thread_puts_while_another_takes(tmp_path: Path) -> None:
    news = threading.Event()
    ids = [f"{number:03d}" for number in range(100)]
    taken: list[str] = []
    with Spool(tmp_path) as spool:
        spool.add_listener(news.set)

        def take() -> None:
            while len(taken) < len(ids):
                news.wait(30)
                news.clear()
                while (got := spool.next()) is not None:
                    taken.append(got.frame_id)
                    spool.ack(got.frame_id)

        thread = threading.Thread(target=take)
        thread.start()
        for frame_id in ids:
            spool.put(item(frame_id))
        thread.join(60)
        assert sorted(taken) == ids
        assert len(spool) == 0


@pytest.mark.parametrize("damage", [b"", b"short", b"ESPOOL1\n" + bytes(100)])
def test_a_damaged_file_is_put_aside_and_passed_over(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with Spool(tmp_path) as spool:
        spool.put(item("bad", 0.9))
        spool.put(item("good", 0.1))
        (tmp_path / "frames" / "bad.frame").write_bytes(damage)
        got = spool.next()
        assert got is not None
        assert got.frame_id == "good"
        assert spool.ids() == ("good",)
    assert (tmp_path / "damaged" / "bad.frame").read_bytes() == damage
    assert "bad.frame is damaged" in caplog.text


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.put(item("a"))
        path = tmp_path / "frames" / "a.frame"
        content = bytearray(path.read_bytes())
        content[-500] ^= 1
        path.write_bytes(content)
        assert spool.next() is None
        assert len(spool) == 0


def test_damaged_files_do_not_pile_up(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        for number in range(30):
            spool.put(item(f"bad{number}"))
            (tmp_path / "frames" / f"bad{number}.frame").write_bytes(b"")
        assert spool.next() is None
    assert len(list((tmp_path / "damaged").iterdir())) == 16


def test_a_file_that_vanished_is_passed_over(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.put(item("gone", 0.9))
        spool.put(item("here", 0.1))
        (tmp_path / "frames" / "gone.frame").unlink()
        got = spool.next()
        assert got is not None
        assert got.frame_id == "here"
        assert spool.ids() == ("here",)


def test_opening_clears_up_after_a_crash(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.put(item("row-without-file"))
        spool.put(item("whole"))
    content = (tmp_path / "frames" / "row-without-file.frame").read_bytes()
    (tmp_path / "frames" / "row-without-file.frame").unlink()
    (tmp_path / "frames" / "file-without-row.frame").write_bytes(content)
    (tmp_path / "frames" / "half.tmp").write_bytes(content[:10])
    with Spool(tmp_path) as spool:
        assert spool.ids() == ("whole",)
        assert (len(spool), spool.size_bytes) == (1, (tmp_path / "frames" / "whole.frame").stat().st_size)
    assert frame_files(tmp_path) == {"whole.frame"}


@pytest.mark.parametrize("damage", [b"no database" * 1000, None])
def test_a_damaged_or_missing_index_is_rebuilt_from_the_files(tmp_path: Path, damage: bytes | None) -> None:
    with Spool(tmp_path) as spool:
        for number in range(5):
            spool.put(item(f"f{number}", number / 10))
        size = spool.size_bytes
    (tmp_path / "frames" / "f2.frame").write_bytes(b"damaged too")
    index = tmp_path / "index.sqlite3"
    index.unlink()
    if damage is not None:
        index.write_bytes(damage)
    with Spool(tmp_path) as spool:
        assert spool.ids() == ("f4", "f3", "f1", "f0")
        assert spool.size_bytes == size * 4 // 5
        assert spool.next() is not None
    assert len(list(tmp_path.glob("index.sqlite3.damaged-*"))) == (damage is not None)


def test_an_index_damaged_while_open_is_rebuilt(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        for number in range(5):
            spool.put(item(f"f{number}", number / 10))
        spool._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spool._connection.execute("PRAGMA shrink_memory")
        index = tmp_path / "index.sqlite3"
        with index.open("r+b") as file:
            file.seek(100)
            file.write(b"\xa5" * (index.stat().st_size - 100))
        got = spool.next()
        assert got is not None
        assert got.frame_id == "f4"
        assert len(spool) == 5


def test_a_second_spool_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with Spool(tmp_path), pytest.raises(StorageError, match="another process holds it"):
        Spool(tmp_path)


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    with pytest.raises(StorageError, match="expected a directory"):
        Spool(tmp_path / "spool")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_id": "../a"}, "expected a frame id .* got '../a'"),
        ({"frame_id": ""}, "expected a frame id"),
        ({"gain": float("nan")}, "expected a gain that is a finite number; got nan"),
        ({"captured_at": NOON.replace(tzinfo=None)}, "expected captured_at with a time zone"),
    ],
)
def test_what_cannot_be_stored_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    values = {name: getattr(item("a"), name) for name in SpoolItem.__slots__} | change
    with Spool(tmp_path) as spool:
        with pytest.raises(ConfigError, match=message):
            spool.put(SpoolItem(**values))
        assert len(spool) == 0


def test_a_spool_of_no_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than 0 bytes; got 0"):
        Spool(tmp_path, max_bytes=0)


def test_a_put_that_the_system_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/../pipeline", sys.argv[2] + "/../link", sys.argv[2] + "/.."]
from test_spool import StorageError, item, Spool
with Spool(Path(sys.argv[1])) as spool:
    spool.put(item("a", 0.1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        spool.put(item("b", 0.9, size=600_000))
    except StorageError as error:
        assert "cannot store frame b" in str(error), error
    else:
        raise AssertionError("put said nothing")
    assert spool.ids() == ("a",) and len(spool) == 1
    spool.put(item("c", 0.9))
    assert spool.ids() == ("c", "a")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)], check=True)
    assert frame_files(tmp_path) == {"a.frame", "c.frame"}


_KILLED_AGAIN_AND_AGAIN = """
import json, os, random, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/../pipeline", sys.argv[2] + "/../link", sys.argv[2] + "/.."]
from test_spool import Spool, item
directory, promised, acked = Path(sys.argv[1]), set(), set()
for cycle in range(20):
    chance = random.Random(cycle)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        spool = Spool(directory)
        for number in range(10_000):
            frame_id = f"{cycle}-{number}"
            spool.put(item(frame_id, chance.random(), size=chance.randrange(1, 30_000)))
            os.write(write_end, f"+{frame_id}\\n".encode())
            if number % 3 == 0:
                os.write(write_end, f"-{frame_id}\\n".encode())
                spool.ack(frame_id)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        for _ in range(chance.randrange(0, 25)):
            line = pipe.readline().strip()
            (promised if line[0] == "+" else acked).add(line[1:])
        os.kill(child, signal.SIGKILL)
        for line in pipe.read().split():
            (promised if line[0] == "+" else acked).add(line[1:])
    os.waitpid(child, 0)
with Spool(directory) as spool:
    found = []
    while (got := spool.next(exclude=found)) is not None:
        found.append(got.frame_id)
    print(json.dumps({"promised": sorted(promised), "acked": sorted(acked), "found": found, "count": len(spool)}))
"""


def test_nothing_promised_is_lost_when_killed_at_any_moment(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AGAIN_AND_AGAIN, str(tmp_path), str(Path(__file__).parent)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    said = json.loads(done.stdout)
    promised, acked, found = set(said["promised"]), set(said["acked"]), set(said["found"])
    assert len(promised) > 20
    assert promised - acked <= found
    assert said["count"] == len(said["found"]) == len(frame_files(tmp_path))
    assert not list((tmp_path / "damaged").iterdir())


def test_what_leaves_without_an_answer_is_remembered_until_it_is_acknowledged(tmp_path: Path) -> None:
    size = stored_bytes(tmp_path, item("a"))
    heard: list[int] = []
    with Spool(tmp_path, max_bytes=2 * size) as spool:
        spool.add_loss_listener(lambda: heard.append(len(spool.losses())))
        for frame_id, gain in (("evicted", 0.1), ("damaged", 0.2), ("whole", 0.3)):
            spool.put(item(frame_id, gain, size=1000 - len(frame_id)))
        (tmp_path / "frames" / "damaged.frame").write_bytes(b"")
        assert spool.next(exclude=["whole"]) is None
        assert heard == [2]
        assert len(spool) == 1
    expected = {Loss("evicted", NOON, Reason.EVICTED), Loss("damaged", NOON, Reason.DAMAGED)}
    with Spool(tmp_path) as spool:
        assert set(spool.losses()) == expected
        assert spool.ids() == ("whole",)
        spool.ack("evicted", "damaged", "whole")
        assert (len(spool), spool.losses()) == (0, ())
    with Spool(tmp_path) as spool:
        assert spool.losses() == ()


def test_a_row_whose_file_is_gone_is_a_loss_at_the_next_start(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.put(item("a"))
    (tmp_path / "frames" / "a.frame").unlink()
    with Spool(tmp_path) as spool:
        assert spool.losses() == (Loss("a", NOON, Reason.DAMAGED),)
        assert len(spool) == 0


def test_a_whole_file_without_a_row_is_taken_in(tmp_path: Path) -> None:
    """A row can vanish without an error: SQLite ends its log at the first record that is damaged."""
    with Spool(tmp_path) as spool:
        spool.put(item("a"))
        spool.put(item("b"))
        spool._connection.execute("DELETE FROM frame WHERE frame_id = 'a'")
    with Spool(tmp_path) as spool:
        assert set(spool.ids()) == {"a", "b"}
        assert spool.size_bytes == sum(path.stat().st_size for path in (tmp_path / "frames").iterdir())


def test_rows_that_are_gone_are_made_anew_from_their_files(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with Spool(tmp_path / "spool") as spool:
        spool.put(item("first", 0.9))
        shutil.copytree(tmp_path / "spool", kept)
        for number in range(5):
            spool.put(item(f"later{number}", 0.1 * number))
        shutil.copytree(tmp_path / "spool" / "frames", kept / "frames", dirs_exist_ok=True)
        order = spool.ids()
    with Spool(kept) as spool:
        assert spool.ids() == order
        assert len(order) == 6
        assert spool.losses() == ()


def test_rows_of_frames_that_come_or_are_lost_are_synced_and_acknowledgements_are_not(tmp_path: Path) -> None:
    def synced() -> bool:
        return spool._connection.execute("PRAGMA synchronous").fetchone() == (2,)

    with Spool(tmp_path, max_bytes=2 * stored_bytes(tmp_path / "x", item("a"))) as spool:
        spool.put(item("a", 0.1))
        assert synced()
        spool.ack("a")
        assert not synced()
        for one in (item("b", 0.2), item("c", 0.3), item("d", 0.4)):
            spool.put(one)
            assert synced()
        assert [loss.reason for loss in spool.losses()] == [Reason.EVICTED]
        spool.ack("b")
        (tmp_path / "frames" / "d.frame").write_bytes(b"damage")
        spool.next()
        assert synced()


def spool_with_losses(folder: Path) -> tuple[list[Loss], tuple[str, ...]]:
    """A spool in `folder` as a killed device leaves it, write-ahead log included: losses and frames that wait."""
    origin = folder.with_name("origin")
    with Spool(origin, max_bytes=5 * stored_bytes(folder.with_name("x"), item("000"))) as spool:
        for number in range(40):
            spool.put(item(f"{number:03d}", number / 100))
        shutil.copytree(origin, folder)
        return sorted(spool.losses(), key=lambda loss: loss.frame_id), spool.ids()


def test_a_damaged_index_keeps_its_losses(tmp_path: Path) -> None:
    losses, ids = spool_with_losses(tmp_path / "spool")
    assert len(losses) == 35
    index = tmp_path / "spool" / "index.sqlite3"
    with closing(sqlite3.connect(index)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'frame_order'").fetchone()
    content = bytearray(index.read_bytes())
    content[(page - 1) * 1024 : page * 1024] = b"\xa5" * 1024
    index.write_bytes(content)
    with Spool(tmp_path / "spool") as spool:
        assert sorted(spool.losses(), key=lambda loss: loss.frame_id) == losses
        assert spool.ids() == ids
    assert len(list((tmp_path / "spool").glob("*.damaged-*"))) == 1


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_a_bit_flipped_in_the_log_of_the_index_takes_few_losses(tmp_path: Path, share: float) -> None:
    losses, ids = spool_with_losses(tmp_path / "spool")
    log = tmp_path / "spool" / "index.sqlite3-wal"
    content = bytearray(log.read_bytes())
    content[int(share * len(content))] ^= 4
    log.write_bytes(content)
    with Spool(tmp_path / "spool") as spool:
        assert spool.ids() == ids
        kept = spool.losses()
    assert set(kept) <= set(losses)
    assert len(kept) >= len(losses) - 1


def test_a_frame_that_a_damaged_index_tells_of_as_lost_does_not_wait(tmp_path: Path) -> None:
    losses, ids = spool_with_losses(tmp_path / "spool")
    frames = tmp_path / "spool" / "frames"
    lost = losses[0].frame_id
    (frames / f"{lost}.frame").write_bytes(encode_item(item(lost, 0.0)))
    (tmp_path / "spool" / "index.sqlite3").rename(tmp_path / "spool" / "index.sqlite3.damaged-1")
    (tmp_path / "spool" / "index.sqlite3-wal").rename(tmp_path / "spool" / "index.sqlite3.damaged-1-wal")
    with Spool(tmp_path / "spool") as spool:
        assert spool.ids() == ids
        assert lost in {loss.frame_id for loss in spool.losses()}
    assert lost not in {path.stem for path in frames.iterdir()}


def test_an_evicted_frame_whose_file_stayed_does_not_come_back(tmp_path: Path) -> None:
    size = stored_bytes(tmp_path, item("a"))
    with Spool(tmp_path, max_bytes=size) as spool:
        spool.put(item("a", 0.1))
        kept = (tmp_path / "frames" / "a.frame").read_bytes()
        assert spool.put(item("b", 0.9)) == ("a",)
    (tmp_path / "frames" / "a.frame").write_bytes(kept)
    with Spool(tmp_path) as spool:
        assert spool.ids() == ("b",)
        assert frame_files(tmp_path) == {"b.frame"}


def test_a_damaged_file_that_a_rebuilt_index_finds_is_a_loss(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.put(item("a"))
        spool.put(item("b"))
    (tmp_path / "frames" / "a.frame").write_bytes(b"damaged")
    (tmp_path / "index.sqlite3").write_bytes(b"no database" * 1000)
    with Spool(tmp_path) as spool:
        assert spool.ids() == ("b",)
        assert [(loss.frame_id, loss.reason) for loss in spool.losses()] == [("a", Reason.DAMAGED)]


def test_a_frame_that_has_waited_too_long_leaves(tmp_path: Path) -> None:
    now = [1000.0]
    clocks = {"steady": lambda: now[0], "clock": lambda: 5e8, "boot_id": "boot"}
    with Spool(tmp_path, max_age_s=100, **clocks) as spool:  # type: ignore[arg-type]
        spool.put(item("old", 0.9))
        now[0] += 80
        spool.put(item("young", 0.1))
        got = spool.next()
        assert got is not None and got.frame_id == "old"
    with Spool(tmp_path, max_age_s=100, **clocks) as spool:  # type: ignore[arg-type]
        now[0] += 30
        assert spool.next(exclude=["old"]) is not None  # on its way: it may still be answered
        now[0] += 61
        got = spool.next()
        assert got is not None and got.frame_id == "young"
        assert [(loss.frame_id, loss.reason) for loss in spool.losses()] == [("old", Reason.EXPIRED)]
        assert frame_files(tmp_path) == {"young.frame"}


def test_a_wall_clock_that_jumps_makes_no_frame_older(tmp_path: Path) -> None:
    wall = [0.0]
    clocks = {"steady": lambda: 1000.0, "clock": lambda: wall[0], "boot_id": "boot"}
    for year in (0, 56, -1):
        wall[0] = year * 3.15e7
        with Spool(tmp_path, max_age_s=100, **clocks) as spool:  # type: ignore[arg-type]
            spool.put(item("a"))
            assert spool.next() is not None


def test_an_index_of_the_first_version_is_rebuilt_from_the_files(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.put(item("a"))
    with closing(sqlite3.connect(tmp_path / "index.sqlite3", isolation_level=None)) as index:
        index.executescript(
            "DROP TABLE frame; DROP TABLE lost; PRAGMA user_version=1; CREATE TABLE frame (frame_id TEXT PRIMARY KEY, "
            "gain REAL NOT NULL, captured_us INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID; "
            "CREATE INDEX frame_order ON frame (gain DESC, captured_us, frame_id)"
        )
    with Spool(tmp_path) as spool:
        assert spool.ids() == ("a",)


def test_no_flipped_bit_of_the_index_stops_the_spool(tmp_path: Path) -> None:
    chance = random.Random(5)
    with Spool(tmp_path / "whole") as spool:
        for number in range(12):
            spool.put(item(f"f{number}", number / 10, minute=number))
        spool.ack("f3")
    for number in range(250):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        path = folder / "index.sqlite3"
        content = bytearray(path.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        with Spool(folder) as spool:
            spool.put(item("new", 0.5))
            taken: list[str] = []
            while (got := spool.next(taken)) is not None:
                taken.append(got.frame_id)
            lost = {loss.frame_id for loss in spool.losses()}
            assert {f"f{one}" for one in range(12) if one != 3} <= {*taken, *lost}
        shutil.rmtree(folder)
