"""The frames that wait: their order, their bounds, and what a stop leaves of them."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_parts import NOON, cloud, frame_files, item, record

from edge_sdk.config import StorageSettings
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.store.schema import State
from edge_sdk.store.spool import Loss, SpoolItem
from edge_sdk.store.store import Store
from edge_sdk.testing.clock import FakeClock
from edge_sdk.types import Reason, Region


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path, flush_interval_s=3600.0) as store:
        yield store


def stored_bytes(folder: Path, one: SpoolItem) -> int:
    with Store(folder / "measure") as store:
        store.spool.put(one)
        return store.spool.size_bytes


def test_what_is_put_comes_back_as_it_was_after_a_restart(tmp_path: Path) -> None:
    captured_at = datetime(2026, 6, 1, 5, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    put = SpoolItem("0a" * 16, b"\xff\xd8jpeg", np.array([0.1, 0.9], np.float32), 0.25, captured_at, "rtsp://camera")
    with Store(tmp_path) as store:
        assert store.spool.put(put) == ()
    with Store(tmp_path) as store:
        got = store.spool.next()
        assert len(store.spool) == 1
    assert got is not None
    assert (got.frame_id, got.image, got.gain, got.source) == (put.frame_id, put.image, put.gain, put.source)
    assert got.probabilities.dtype == np.float32
    assert np.array_equal(got.probabilities, put.probabilities)
    assert got.captured_at == captured_at
    assert got.captured_at.utcoffset() == captured_at.utcoffset()


def test_numpy_numbers_and_a_source_that_is_no_utf8_are_taken(store: Store) -> None:
    source = b"fuchs\xfc.jpg".decode("utf-8", "surrogateescape")
    store.spool.put(SpoolItem("a", b"", np.array([1.0]), np.float32(0.5), NOON, source))  # type: ignore[arg-type]
    got = store.spool.next()
    assert got is not None
    assert (got.gain, got.source, got.probabilities.dtype) == (0.5, r"fuchs\udcfc.jpg", np.float32)  # type: ignore[comparison-overlap]
    assert store.flush()


def test_highest_gain_first_then_the_one_that_was_handled_first(store: Store) -> None:
    for one in (item("low", 0.1), item("old", 0.9, minute=2), item("young", 0.9, minute=1), item("mid", 0.5)):
        store.spool.put(one)
    assert store.spool.ids() == ("old", "young", "mid", "low")
    taken: list[str] = []
    while (got := store.spool.next(exclude=taken)) is not None:
        taken.append(got.frame_id)
    assert taken == ["old", "young", "mid", "low"]
    assert len(store.spool) == 4


def test_the_most_gain_per_byte_goes_first_and_waiting_counts(tmp_path: Path) -> None:
    now = [1000.0]
    with Store(tmp_path, steady=lambda: now[0], clock=lambda: 5e8, boot_id="boot") as store:
        spool = store.spool
        spool.put(item("large", 0.9, size=4000))
        spool.put(item("small", 0.5, size=1000))
        assert spool.ids() == ("small", "large")
        now[0] += 2 * 86_400
        spool.put(item("later", 0.5, size=1000))
        spool.put(item("better", 0.9, size=800))
        assert spool.ids() == ("small", "better", "large", "later")  # two days count four times
        spool.put(item("best", 0.9, size=80))
        assert spool.ids()[0] == "best"


def test_a_frame_that_leaves_takes_its_file_with_it_once_that_is_on_the_disk(store: Store, tmp_path: Path) -> None:
    store.spool.put(item("a"))
    store.spool.put(item("b"))
    for _ in range(2):
        store.spool.ack("a")
        assert store.spool.ids() == ("b",)
        assert len(store.spool) == 1
    assert frame_files(tmp_path) == {"a", "b"}
    assert store.flush()
    assert frame_files(tmp_path) == {"b"}
    store.spool.ack("b")
    assert (len(store.spool), store.spool.size_bytes, store.spool.next()) == (0, 0, None)


def test_ack_and_peek_of_a_path_touch_nothing_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside.frame"
    outside.write_bytes(b"")
    with Store(tmp_path / "state") as store:
        store.spool.ack("../../outside")
        assert store.spool.peek("../../outside") is None
    assert outside.exists()


def test_the_same_id_twice_is_stored_once(store: Store) -> None:
    store.spool.put(item("a", 0.5, size=100))
    before = store.spool.size_bytes
    assert store.spool.put(item("a", 0.9, size=9000)) == ()
    assert (len(store.spool), store.spool.size_bytes) == (1, before)


def test_the_cloud_s_answer_takes_a_frame_out_once_and_tells_when_that_is_on_the_disk(store: Store) -> None:
    told: list[str] = []
    store.spool.put(item("a"), record("a"))
    assert store.spool.answer(cloud("a"), then=lambda: told.append("first"))
    assert not store.spool.answer(cloud("a", "boar"), then=lambda: told.append("second"))
    assert not store.spool.finish("a", Reason.REFUSED)
    assert (told, len(store.spool)) == ([], 0)
    assert store.flush() and store.flush()
    assert told == ["first"]
    assert store.journal.get("a") == cloud("a")


def test_the_least_valuable_frames_make_room(tmp_path: Path) -> None:
    size = stored_bytes(tmp_path, item("a"))
    heard: list[Loss] = []
    with Store(tmp_path, spool_bytes=3 * size + 100) as store:
        spool = store.spool
        spool.add_loss_listener(heard.extend)
        for frame_id, gain in (("a", 0.3), ("b", 0.2), ("c", 0.2)):
            assert spool.put(item(frame_id, gain)) == ()
        assert spool.put(item("d", 0.9)) == ("c",)
        assert spool.put(item("e", 0.1)) == ("e",)
        assert spool.put(item("f", 0.8, size=2000)) == ("b", "a")
        assert spool.ids() == ("d", "f")
        assert spool.size_bytes <= 3 * size + 100
        assert [(loss.frame_id, loss.reason) for loss in heard] == [(name, Reason.EVICTED) for name in "cba"]
        assert not spool.is_telling
        said = {entry.answer.frame_id: (entry.state, entry.answer.reason) for entry in store.journal.query(final=True)}
        assert said == {name: (State.LOST, Reason.EVICTED) for name in "abce"}
    assert frame_files(tmp_path) == {"d", "f"}


def test_a_frame_larger_than_the_spool_is_evicted_at_once_and_alone(tmp_path: Path) -> None:
    with Store(tmp_path, spool_bytes=5000) as store:
        store.spool.put(item("a", 0.1))
        assert store.spool.put(item("b", 0.9, size=6000)) == ("b",)
        assert store.spool.ids() == ("a",)


puts = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.1, 0.2, 0.3]), st.integers(1, 900)), max_size=25)


@settings(max_examples=40, deadline=None)
@given(puts=puts, acked=st.integers(0, 9))
def test_it_keeps_what_a_sorted_list_would_keep(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[int, float, int]], acked: int
) -> None:
    max_bytes = 2000
    model: dict[str, tuple[float, int, str, int]] = {}
    folder = tmp_path_factory.mktemp("state")
    now_s = [0.0]
    clocks = {"clock": lambda: 5e8, "steady": lambda: now_s[0], "boot_id": "boot"}
    with Store(folder, spool_bytes=max_bytes, flush_interval_s=3600.0, **clocks) as store:  # type: ignore[arg-type]
        spool = store.spool
        for minute, (number, gain, size) in enumerate(puts):
            frame_id = f"f{number}"
            now_s[0] = minute * 60.0
            before = spool.size_bytes
            evicted = spool.put(item(frame_id, gain, size=size))
            if frame_id not in model:
                if evicted != (frame_id,):
                    grown = spool.size_bytes - before + sum(model[name][3] for name in evicted)
                    assert grown == (folder / "frames" / f"{frame_id}.frame").stat().st_size
                    model[frame_id] = (minute / 1440 - math.log2(gain / size), minute, frame_id, grown)
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
    with Store(folder, spool_bytes=max_bytes, **clocks) as store:  # type: ignore[arg-type]
        assert store.spool.ids() == tuple(name for _, _, name, _ in sorted(model.values()))
        assert store.spool.size_bytes == sum(entry[3] for entry in model.values())


def test_listeners_hear_of_what_is_put_in_the_thread_that_puts(tmp_path: Path) -> None:
    heard: list[int] = []
    with Store(tmp_path, spool_bytes=stored_bytes(tmp_path, item("a"))) as store:
        store.spool.add_listener(lambda: heard.append(threading.get_ident()))
        thread = threading.Thread(target=store.spool.put, args=(item("a"),))
        thread.start()
        thread.join()
        store.spool.put(item("b", 0.1))
        assert heard == [thread.ident]


def test_one_thread_puts_while_another_takes(tmp_path: Path) -> None:
    news = threading.Event()
    ids = [f"{number:03d}" for number in range(100)]
    taken: list[str] = []
    with Store(tmp_path, flush_interval_s=0.001) as store:
        spool = store.spool
        spool.add_listener(news.set)

        def take() -> None:
            while len(taken) < len(ids):
                news.wait(30)
                news.clear()
                while (got := spool.next()) is not None:
                    taken.append(got.frame_id)
                    spool.answer(cloud(got.frame_id))

        thread = threading.Thread(target=take)
        thread.start()
        for frame_id in ids:
            spool.put(item(frame_id))
        thread.join(60)
        assert sorted(taken) == ids
        assert len(spool) == 0
        assert store.journal.counts() == {"deer": 100}
    assert frame_files(tmp_path) == set()


@pytest.mark.parametrize("damage", [b"", b"short", b"EFRAME1\n" + bytes(100)])
def test_a_damaged_file_is_put_aside_and_passed_over(
    store: Store, tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Loss] = []
    store.spool.add_loss_listener(heard.extend)
    store.spool.put(item("bad", 0.9), record("bad"))
    store.spool.put(item("good", 0.1))
    (tmp_path / "frames" / "bad.frame").write_bytes(damage)
    got = store.spool.next()
    assert got is not None and got.frame_id == "good"
    assert store.spool.ids() == ("good",)
    assert heard == [Loss("bad", Reason.DAMAGED)]
    answer = store.journal.get("bad")
    assert answer is not None and (answer.label, answer.final, answer.reason) == ("fox", True, Reason.DAMAGED)
    assert (tmp_path / "damaged" / "bad.frame").read_bytes() == damage
    assert "bad.frame is damaged" in caplog.text


@pytest.mark.parametrize("at", [4, 30, -500])
def test_one_flipped_bit_is_noticed(store: Store, tmp_path: Path, at: int) -> None:
    store.spool.put(item("a"))
    path = tmp_path / "frames" / "a.frame"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert store.spool.next() is None
    assert len(store.spool) == 0


def test_damaged_files_do_not_pile_up(store: Store, tmp_path: Path) -> None:
    for number in range(30):
        store.spool.put(item(f"bad{number}"))
        (tmp_path / "frames" / f"bad{number}.frame").write_bytes(b"")
    assert store.spool.next() is None
    assert len(list((tmp_path / "damaged").iterdir())) == 16
    assert store.journal.damaged() == 30


def test_a_file_that_vanished_is_passed_over(store: Store, tmp_path: Path) -> None:
    store.spool.put(item("gone", 0.9))
    store.spool.put(item("here", 0.1))
    (tmp_path / "frames" / "gone.frame").unlink()
    got = store.spool.next()
    assert got is not None and got.frame_id == "here"
    assert store.spool.ids() == ("here",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_id": "../a"}, "expected a frame id .* got '../a'"),
        ({"frame_id": ""}, "expected a frame id"),
        ({"gain": float("nan")}, "expected a gain that is a finite number; got nan"),
        ({"captured_at": NOON.replace(tzinfo=None)}, "expected captured_at with a time zone"),
    ],
)
def test_what_cannot_be_stored_is_refused(store: Store, change: dict[str, object], message: str) -> None:
    values = {name: getattr(item("a"), name) for name in SpoolItem.__slots__} | change
    with pytest.raises(ConfigError, match=message):
        store.spool.put(SpoolItem(**values))
    assert len(store.spool) == 0


def test_a_spool_of_no_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than 0 bytes; got 0"):
        Store(tmp_path, spool_bytes=0)
    Store(tmp_path).close()  # and nothing is held


def test_a_put_that_the_system_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from store_parts import item
from edge_sdk.errors import StorageError
from edge_sdk.store.store import Store
with Store(Path(sys.argv[1])) as store:
    store.spool.put(item("a", 0.1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        store.spool.put(item("b", 0.9, size=600_000))
    except StorageError as error:
        assert "cannot store frame b" in str(error), error
    else:
        raise AssertionError("put said nothing")
    assert store.spool.ids() == ("a",) and len(store.spool) == 1
    store.spool.put(item("c", 0.9))
    assert store.spool.ids() == ("c", "a")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[1])], check=True)
    assert frame_files(tmp_path) == {"a", "c"}


_KILLED_AGAIN_AND_AGAIN = """
import json, os, random, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from store_parts import cloud, item
from edge_sdk.store.store import Store
folder, promised, acked = Path(sys.argv[1]), set(), set()
for cycle in range(20):
    chance = random.Random(cycle)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        store = Store(folder, flush_interval_s=0.002)
        for number in range(10_000):
            frame_id = f"{cycle}-{number}"
            store.spool.put(item(frame_id, chance.random(), size=chance.randrange(1, 30_000)))
            os.write(write_end, f"+{frame_id}\\n".encode())
            if number % 3 == 0:
                os.write(write_end, f"-{frame_id}\\n".encode())
                store.spool.answer(cloud(frame_id))
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
with Store(folder) as store:
    found = []
    while (got := store.spool.next(exclude=found)) is not None:
        found.append(got.frame_id)
    answered = [entry.answer.frame_id for entry in store.journal.query(final=True)]
    print(json.dumps({"promised": sorted(promised), "acked": sorted(acked), "found": found, "answered": answered}))
"""


def test_nothing_promised_is_lost_when_killed_at_any_moment(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AGAIN_AND_AGAIN, str(tmp_path), str(Path(__file__).parents[1])],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    said = json.loads(done.stdout)
    promised, acked, found = set(said["promised"]), set(said["acked"]), set(said["found"])
    answered = set(said["answered"])
    assert len(promised) > 20
    assert promised - acked <= found
    assert promised <= found | answered
    assert not found & answered
    assert len(said["found"]) == len(found) and found == frame_files(tmp_path)
    assert not list((tmp_path / "damaged").iterdir())


def test_a_frame_that_has_waited_too_long_leaves(tmp_path: Path) -> None:
    now = [1000.0]
    heard: list[Loss] = []
    settings = StorageSettings(spool_age_s=100)
    clocks = {"steady": lambda: now[0], "clock": lambda: 5e8, "boot_id": "boot"}
    with Store(tmp_path, settings, **clocks) as store:  # type: ignore[arg-type]
        store.spool.put(item("old", 0.9))
        now[0] += 80
        store.spool.put(item("young", 0.1))
        got = store.spool.next()
        assert got is not None and got.frame_id == "old"
    with Store(tmp_path, settings, **clocks) as store:  # type: ignore[arg-type]
        store.spool.add_loss_listener(heard.extend)
        now[0] += 30
        assert store.spool.next(exclude=["old"]) is not None  # on its way: it may still be answered
        now[0] += 61
        got = store.spool.next()
        assert got is not None and got.frame_id == "young"
        assert heard == [Loss("old", Reason.EXPIRED)]
        assert store.flush()
        assert frame_files(tmp_path) == {"young"}


def test_a_wall_clock_that_jumps_makes_no_frame_older(tmp_path: Path) -> None:
    wall = [0.0]
    clocks = {"steady": lambda: 1000.0, "clock": lambda: wall[0], "boot_id": "boot"}
    for year in (0, 56, -1):
        wall[0] = year * 3.15e7
        with Store(tmp_path, StorageSettings(spool_age_s=100), **clocks) as store:  # type: ignore[arg-type]
            store.spool.put(item("a"))
            assert store.spool.next() is not None


def test_the_caller_syncs_once_or_where_a_group_is_enough_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []
    real = os.fsync

    def counted(descriptor: int) -> None:
        syncs.append(threading.get_ident())
        real(descriptor)

    for durable, expected in (("frame", 1), ("1s", 0)):
        with Store(tmp_path / durable, StorageSettings(durable=durable)) as store:
            monkeypatch.setattr(os, "fsync", counted)
            syncs.clear()
            store.spool.put(item("a"))
            assert syncs.count(threading.get_ident()) == expected
            assert store.flush()
            assert len(syncs) == 1
            monkeypatch.setattr(os, "fsync", real)


def test_a_frame_that_was_sent_says_so_and_still_waits(store: Store, tmp_path: Path) -> None:
    store.spool.put(item("a"))
    store.spool.mark_sent("a")
    entry = store.journal.entry("a")
    assert entry is not None and (entry.state, entry.answer.final) == (State.SENT, False)
    store.close()
    with Store(tmp_path) as again:
        assert again.spool.ids() == ("a",)


def test_a_frame_that_failed_steps_back_for_good_and_its_tries_are_counted_over_restarts(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for name, gain in (("a", 0.9), ("b", 0.1)):
            store.spool.put(item(name, gain=gain))
        assert store.spool.ids() == ("a", "b")
        assert not store.spool.any_tried
        assert [store.spool.step_back("a", spent) for spent in (1.0, 0.25, 0.25)] == [1.0, 1.25, 1.5]
        assert store.spool.step_back("gone", 1.0) == 1.0
        assert store.spool.ids() == ("b", "a")
        entry = store.journal.entry("a")
        assert entry is not None and entry.state is State.SENT
    with Store(tmp_path) as store:
        assert store.spool.ids() == ("b", "a")
        assert (store.spool.tries("a"), store.spool.tries("b"), store.spool.any_tried) == (1.5, 0.0, True)
        assert store.spool.finish("a", Reason.GIVEN_UP, "sent 8 times")
        store.spool.put(item("a"))  # of a settled frame nothing is left
        assert store.spool.tries("a") == 0.0
    with Store(tmp_path) as store:
        assert not store.spool.any_tried


def test_a_table_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item("a"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.executescript("DROP TABLE tries; PRAGMA user_version = 1;")
    with Store(tmp_path) as store:
        assert store.spool.ids() == ("a",)
        assert store.spool.step_back("a", 1.0) == 1.0
        assert store.flush()
        assert not list(tmp_path.glob("*.damaged*"))


def test_a_table_of_the_third_version_gets_its_columns(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item("a"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.executescript(
            "ALTER TABLE frames DROP COLUMN region; ALTER TABLE frames DROP COLUMN audit_chance;"
            "ALTER TABLE frames DROP COLUMN level; ALTER TABLE frames DROP COLUMN cloud_level; DROP TABLE events;"
            "PRAGMA user_version = 3;"
        )
    with Store(tmp_path) as store:
        assert store.spool.ids() == ("a",)
        region = Region(1, 2, 30, 40, 0.5, True)
        store.exit(replace(record("b"), region=region, audit_chance=0.25, frame_size=(640, 480)))
        assert store.flush()
        old, new = store.journal.entry("a"), store.journal.entry("b")
        assert old is not None and (old.region, old.audit_chance, old.frame_size) == (None, None, None)
        assert new is not None and (new.region, new.audit_chance, new.frame_size) == (region, 0.25, (640, 480))
        assert not list(tmp_path.glob("*.damaged*"))


def test_a_frame_that_cannot_be_stored_is_unknown_to_the_table(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="cannot store frame a"):
        store.spool.put(item("a"))
    monkeypatch.undo()
    assert store.journal.get("a") is None


@pytest.mark.parametrize(
    "walls", [(40.0, 1.8e9), (1.8e9, 40.0, 1.8e9), (1.8e9, 4.07e9, 1.8e9), (4.07e9, 1.8e9), (40.0, 4.07e9, 1.8e9)]
)
def test_frames_of_a_boot_at_a_wrong_date_keep_their_age_their_turn_and_their_answers(
    tmp_path: Path, walls: tuple[float, ...]
) -> None:
    """1970 until the network sets the clock, or a date far off: what was handled later is younger, and nothing ages."""
    clock, put = FakeClock(), []
    limits = StorageSettings(spool_age_s=30 * 86_400.0, journal_age_s=30 * 86_400.0)

    def opened() -> Store:
        return Store(tmp_path, limits, clock=clock.wall_s, steady=clock.steady_s, boot_id=clock.boot_id())

    for number, wall_s in enumerate(walls):
        clock.reboot()
        clock.set_wall_s(wall_s)
        with opened() as store:
            store.spool.put(item(f"wait{number}"))
            store.spool.put(item(f"done{number}"))
            assert store.spool.finish(f"done{number}", Reason.REFUSED)
            put.append(f"wait{number}")
            clock.pass_s(60)
            assert store.flush()
    with opened() as store:
        assert store.spool.next() is not None
        assert store.spool.ids() == tuple(put)
        assert all(store.journal.get(f"done{number}") is not None for number in range(len(walls)))
