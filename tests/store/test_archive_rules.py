"""Which pictures are kept by which rule, held against a simple model of the archive; and what a kill leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from store_parts import cloud, frame_files, item, record

from edge_sdk.archive_rule import ArchiveRule, Exits
from edge_sdk.config import StorageSettings
from edge_sdk.store.schema import FrameRecord, State
from edge_sdk.store.spool import Loss
from edge_sdk.store.store import Store
from edge_sdk.types import Prediction, Reason

LABELS = ("empty", "fox", "person")
DAY_S = 86_400.0
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # hundreds of commits


def said(empty: float, person: float = 0.0) -> Prediction:
    return Prediction(LABELS, np.array([empty, 1.0 - empty - person, person], np.float32))


def of_event(frame_id: str, event: str, label: str = "fox") -> FrameRecord:
    return replace(record(frame_id, label, final=True), event=event)


def exit_(store: Store, name: str, event: str, empty: float, *, label: str = "fox", person: float = 0.0) -> bool:
    """As the classifier does it; whether its picture was wanted."""
    prediction, word = said(empty, person), of_event(name, event, label)
    wanted = store.archive.wants(word, prediction)
    store.exit(word, replace(item(name), probabilities=prediction.probabilities) if wanted else None)
    return wanted


def open_store(folder: Path, rule: str | ArchiveRule | None, **more: object) -> Store:
    return Store(folder, StorageSettings(archive=rule), emptiness=lambda chances: float(chances[0]), **more)  # type: ignore[arg-type]


def test_one_an_event_is_the_frame_that_looks_least_empty(tmp_path: Path) -> None:
    with open_store(tmp_path, "1MB, exits: one per event") as store:
        assert exit_(store, "a", "e1", 0.5) and not exit_(store, "b", "e1", 0.6)
        assert exit_(store, "c", "e2", 0.9)
        assert store.flush() and frame_files(tmp_path, "archive") == {"a", "c"}
        assert exit_(store, "d", "e1", 0.1) and exit_(store, "e", "e1", 0.05)
        assert not exit_(store, "f", "", 0.0)
        assert store.flush() and frame_files(tmp_path, "archive") == {"c", "e"}
        former = store.journal.entry("a")
        assert former is not None and former.picture is None
        size = store.archive.size_bytes
    with open_store(tmp_path, "1MB, exits: one per event") as store:
        assert frame_files(tmp_path, "archive") == {"c", "e"} and store.archive.size_bytes == size


def test_a_class_may_have_its_own_choice(tmp_path: Path) -> None:
    rule = "1MB, exits: one per event, exits of fox: all, exits of empty: none"
    with open_store(tmp_path, rule) as store:
        assert exit_(store, "a", "e", 0.5) and exit_(store, "b", "e", 0.6)
        assert not exit_(store, "c", "e", 0.9, label="empty")
        assert exit_(store, "d", "e", 0.4, label="deer") and exit_(store, "f", "e", 0.3, label="deer")
    assert frame_files(tmp_path, "archive") == {"a", "b", "f"}


def test_offloads_and_audits_are_kept_where_that_is_said(tmp_path: Path) -> None:
    for number, (rule, kept) in enumerate(
        [
            ("1MB", {"sent", "audit"}),
            ("1MB, offloads: no", {"audit"}),
            ("1MB, audits: no", {"sent"}),
            ("1MB, offloads: no, audits: no", set()),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with open_store(folder, "1MB") as store:
            store.spool.put(item("sent"), record("sent"))
            store.spool.put(item("audit"), replace(record("audit"), audit=True))
        with open_store(folder, rule) as store:  # a frame that waited over a restart
            for name in ("sent", "audit"):
                assert store.spool.answer(cloud(name))
        assert frame_files(folder, "archive") == kept


def test_a_class_that_is_never_stored_is_on_no_disk(tmp_path: Path) -> None:
    with open_store(tmp_path, "1MB, never: person") as store:
        assert not exit_(store, "sure", "e", 0.0, person=0.2)
        assert exit_(store, "other", "e", 0.0, person=0.1)
        for name in ("deer", "man"):
            store.spool.put(item(name), record(name))
        assert not store.archive.refuses(("deer", "person"), (0.9, 0.1), "deer")
        assert store.archive.refuses(("deer", "person"), (0.8, 0.2), "deer")
        assert store.archive.refuses((), (), "person")
        assert store.spool.answer(cloud("deer"), private=False)
        assert store.spool.answer(cloud("man", "person"), private=True)
    assert frame_files(tmp_path, "archive") == {"other", "deer"} and not frame_files(tmp_path)


def test_a_stricter_rule_holds_for_what_is_there(tmp_path: Path) -> None:
    person = replace(record("p"), top_k=(("fox", 0.6), ("person", 0.3)))
    with open_store(tmp_path, "1MB") as store:
        for name, top_k in (("exit", person.top_k), ("fox", (("fox", 0.9),))):
            store.exit(replace(record(name, final=True), top_k=top_k), item(name))
        for name in ("answered", "waits", "answered fox"):
            store.spool.put(item(name.replace(" ", "_")), replace(person, answer=record(name.replace(" ", "_")).answer))
        store.spool.put(item("said"), record("said"))
        store.spool.put(item("other"), record("other"))
        store.spool.answer(cloud("answered"))
        store.spool.answer(cloud("said", "person"), top_k=(("person", 0.1),))
        store.spool.answer(cloud("other"), top_k=(("deer", 0.7), ("person", 0.21)))
        losses: list[Loss] = []
        store.spool.add_loss_listener(losses.extend)
        store.renew_archive(ArchiveRule(max_bytes=10**6, never_store=("vehicle",)))
        assert store.flush() and len(frame_files(tmp_path, "archive")) == 5 and not losses
        store.spool.finish("answered_fox", Reason.REFUSED)
    with open_store(tmp_path, "1MB, never: person") as store:
        assert frame_files(tmp_path, "archive") == {"fox"}
        assert store.flush() and not frame_files(tmp_path) and len(store.spool) == 0
        entry = store.journal.entry("waits")
        assert entry is not None and entry.answer.final and entry.answer.reason is Reason.PRIVATE
        assert store.archive.size_bytes == sum(path.stat().st_size for path in (tmp_path / "archive").iterdir())


def test_a_rule_that_is_renewed_lets_frames_go_and_tells_of_them(tmp_path: Path) -> None:
    with open_store(tmp_path, "1MB") as store:
        store.spool.put(item("waits"), replace(record("waits"), top_k=(("person", 0.3),)))
        store.spool.put(item("stays"), record("stays"))
        exit_(store, "kept", "e", 0.5)
        losses: list[Loss] = []
        store.spool.add_loss_listener(losses.extend)
        store.renew_archive(ArchiveRule.parse("1MB, never: person"))
        assert losses == [Loss("waits", Reason.PRIVATE)] and store.spool.ids() == ("stays",)
        store.renew_archive(None)
        assert store.flush() and store.flush()
        assert not frame_files(tmp_path, "archive") and store.archive.size_bytes == 0
        assert frame_files(tmp_path) == {"stays"}


@dataclass
class Model:
    """The archive, by brute force: every picture with its rank, size and time; let go with each group of rows."""

    rule: ArchiveRule
    kept: dict[str, tuple[float, int, float]] = field(default_factory=dict)
    best: dict[str, tuple[float, str]] = field(default_factory=dict)

    def exit(self, name: str, event: str, empty: float, label: str, now: float, size: int) -> None:
        exits = self.rule.exits_of(label)
        if exits is Exits.NONE or (exits is Exits.EVENT and not event):
            return
        if exits is Exits.EVENT:
            former = self.best.get(event)
            if former is not None and empty >= former[0]:
                return
            if former is not None:
                self.kept.pop(former[1], None)
            self.best[event] = empty, name
        self.kept[name] = now, size, now

    def answered(self, name: str, now: float, size: int, disagreed: bool) -> None:
        if self.rule.offloads:
            self.kept[name] = now + (30 if disagreed else 7) * DAY_S, size, now

    def trim(self, now: float) -> None:
        if self.rule.max_age_s is not None:
            self.kept = {name: row for name, row in self.kept.items() if row[2] >= now - self.rule.max_age_s}
        used = sum(size for _, size, _ in self.kept.values())
        if used > self.rule.max_bytes:
            for name in sorted(self.kept, key=lambda name: self.kept[name][0]):
                if used <= self.rule.max_bytes * 49 // 50:
                    break
                used -= self.kept.pop(name)[1]


Step = tuple[str, str, float, str, int, bool, int]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(["exit", "exit", "exit", "answer", "restart"]),
        st.sampled_from(["", "e1", "e2"]),
        st.sampled_from([0.0, 0.25, 0.5, 0.75]),
        st.sampled_from(["fox", "empty"]),
        st.sampled_from([1, 3600, 40_000, 90_000]),
        st.booleans(),
        st.integers(200, 2_500),
    ),
    max_size=25,
)


_EXIT = ("exit", "", 0.0, "fox", 1, False, 200)


@settings(max_examples=40, deadline=None)
@example(  # the newest goes, and not the more interesting one that was there before it
    [*[_EXIT] * 14, ("answer", "", 0.0, "fox", 1, False, 2223), ("exit", "e1", 0.0, "empty", 1, False, 370)],
    ArchiveRule(max_bytes=3_000, max_age_s=None),
)
@given(
    STEPS,
    st.builds(
        ArchiveRule,
        max_bytes=st.integers(3_000, 20_000),
        max_age_s=st.sampled_from([None, DAY_S, 5 * DAY_S]),
        exits=st.sampled_from(Exits),
        classes=st.dictionaries(st.just("fox"), st.sampled_from(Exits)),
        offloads=st.booleans(),
    ),
)
def test_what_is_kept_is_what_the_rule_says(
    steps: list[tuple[str, str, float, str, int, bool, int]], rule: ArchiveRule
) -> None:
    now = [0.0]
    clocks = {"steady": lambda: now[0], "clock": lambda: 5e8 + now[0], "boot_id": "boot", "flush_interval_s": 3600.0}
    model = Model(rule)
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        store = open_store(folder, rule, **clocks)
        try:
            for number, (what, event, empty, label, seconds, disagreed, size) in enumerate(steps):
                now[0] += seconds
                frame = f"f{number:03d}"
                picture = replace(item(frame, size=size), probabilities=said(empty).probabilities)
                if what == "exit":
                    word = of_event(frame, event, label)
                    wanted = store.archive.wants(word, said(empty))
                    store.exit(word, picture if wanted else None)
                    path = folder / "archive" / f"{frame}.frame"
                    model.exit(frame, event, empty, label, now[0], path.stat().st_size if wanted else 0)
                    assert store.flush()
                elif what == "answer":
                    store.spool.put(picture, of_event(frame, event, label))
                    bytes_ = (folder / "frames" / f"{frame}.frame").stat().st_size
                    store.spool.answer(cloud(frame), disagreed=disagreed)
                    assert store.flush()
                    model.answered(frame, now[0], bytes_, disagreed)
                else:
                    store.close()
                    store = open_store(folder, rule, **clocks)
                    model.best.clear()
                store.archive.renew(rule)  # age is looked at now, and not only every ten minutes
                store.archive.trim()
                model.trim(now[0])
                files = {path.stem: path.stat().st_size for path in (folder / "archive").iterdir()}
                assert files == {name: size for name, (_, size, _) in model.kept.items()}
                assert store.archive.size_bytes == sum(files.values()) <= rule.max_bytes
        finally:
            store.close()


@pytest.mark.parametrize("committed", [False, True])
def test_a_kill_while_a_better_frame_takes_its_place_leaves_one_of_the_two(tmp_path: Path, committed: bool) -> None:
    rule = "1MB, exits: one per event"
    live, dead = tmp_path / "live", tmp_path / "dead"
    with open_store(live, rule, flush_interval_s=3600.0) as store:
        exit_(store, "former", "e", 0.5)
        assert store.flush()
        exit_(store, "better", "e", 0.1)
        if committed:  # and the former's file is still there
            content = (live / "archive" / "former.frame").read_bytes()
            assert store.flush()
            (live / "archive" / "former.frame").write_bytes(content)
        dead.mkdir()
        for place in ("frames", "archive", "damaged"):
            (dead / place).mkdir()
        for path in (*live.glob("state.db*"), *live.glob("archive/*")):
            (dead / path.relative_to(live)).write_bytes(path.read_bytes())
    with open_store(dead, rule) as store:
        kept = {"better"} if committed else {"former"}
        assert frame_files(dead, "archive") == kept
        assert store.archive.read(next(iter(kept))) is not None
        assert store.archive.size_bytes == sum(path.stat().st_size for path in (dead / "archive").iterdir())


def test_a_frame_that_could_not_be_stored_is_of_no_event(tmp_path: Path) -> None:
    with open_store(tmp_path, "1MB, exits: one per event") as store:
        store.exit(of_event("lost", "e"), None, state=State.LOST)
        assert exit_(store, "a", "e", 0.9)
    assert frame_files(tmp_path, "archive") == {"a"}


def test_a_kill_while_room_was_made_leaves_no_row_without_its_picture(tmp_path: Path) -> None:
    with open_store(tmp_path, "1MB") as store:
        exit_(store, "gone", "e", 0.5)
        exit_(store, "kept", "e", 0.5)
    (tmp_path / "archive" / "gone.frame").unlink()
    with open_store(tmp_path, "1MB") as store:
        assert [one.answer.frame_id for one in store.journal.query(archived=True)] == ["kept"]
        assert store.archive.size_bytes == (tmp_path / "archive" / "kept.frame").stat().st_size


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from store_parts import cloud, item, record
from edge_sdk.config import StorageSettings
from edge_sdk.store.store import Store
from edge_sdk.types import Prediction
folder, first, rule = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(first)
settings = StorageSettings(archive=rule)
with Store(folder, settings, emptiness=lambda chances: float(chances[0]), flush_interval_s=0.01) as store:
    for number in range(first, first + 100_000):
        chances = rng.dirichlet((1, 1)).astype(np.float32)
        name = f"f{number}"
        picture = replace(item(name, size=int(rng.integers(500, 3000))), probabilities=chances)
        word = replace(record(name, final=number % 100 > 0), event=f"e{number // 8}")
        if number % 100 == 0:
            store.spool.put(picture, word)
            store.spool.answer(cloud(name), disagreed=number % 200 == 0)
        else:
            wanted = store.archive.wants(word, Prediction(("empty", "fox"), chances))
            store.exit(word, picture if wanted else None)
        if number % 100 == 50:
            store.flush()
        if number % 20 == 0:
            print(number, flush=True)
"""


def test_a_process_that_is_killed_again_and_again_keeps_to_the_rule(tmp_path: Path) -> None:
    rule, first = "60kB, any age, exits: one per event", 0
    for lines in (3, 12, 25, 7):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(first), rule]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(lines)]
            writer.kill()
        first = said[-1] + 1_000
        with open_store(tmp_path, rule) as store:
            assert store.flush() and store.flush()
            files = {path.stem: path.stat().st_size for path in (tmp_path / "archive").iterdir()}
            entries = {one.answer.frame_id: one for one in store.journal.query(archived=True)}
            assert set(files) == set(entries)
            assert store.archive.size_bytes == sum(files.values()) <= 60_000
            assert all(store.archive.read(name) is not None for name in files)
            exits = [one.event for one in entries.values() if one.cloud is None and one.state is State.FINAL]
            assert len(exits) == len(set(exits)) and len(exits) >= 5 * (lines > 10)
        assert lines < 10 or any(one.cloud is not None for one in entries.values())
