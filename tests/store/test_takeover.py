"""A state folder that version 0 wrote: `data/state_0.tar.gz`."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from store_parts import frame_files

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.store.schema import State
from edge_sdk.store.store import Store
from edge_sdk.types import Reason

NAMES = ("exit", "answered", "refused", "waits", "waits_no_row", "lost", "damaged_picture", "gone")
IDS = {name: f"{number:032x}" for number, name in enumerate(NAMES)}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(Path(__file__).parent / "data" / "state_0.tar.gz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4
        archive.extractall(tmp_path)
    assert (tmp_path / "journal.db").exists()
    return tmp_path


def test_all_that_an_old_folder_holds_is_taken_over_once(old: Path) -> None:
    for _ in range(2):
        with Store(old, labels=("empty", "fox")) as store:
            entries = {entry.answer.frame_id: entry for entry in store.journal.query()}
            waiting = set(store.spool.ids())
            item = store.spool.peek(IDS["waits"])
    said = {name: (entries[IDS[name]].state, entries[IDS[name]].answer.label) for name in NAMES}
    assert said == {
        "exit": (State.FINAL, "fox"),
        "answered": (State.ANSWERED, "deer"),
        "refused": (State.FINAL, "fox"),
        "waits": (State.WAITING, "fox"),
        "waits_no_row": (State.WAITING, "fox"),
        "lost": (State.LOST, "fox"),
        "damaged_picture": (State.LOST, "fox"),
        "gone": (State.LOST, "fox"),
    }
    assert waiting == {IDS["waits"], IDS["waits_no_row"]} == frame_files(old)
    assert item is not None and (item.image, item.gain, item.source) == (b"\xff\xd8waits", 0.5, "cam")
    assert entries[IDS["refused"]].note == "too large"
    assert entries[IDS["exit"]].truth == "fox"
    assert entries[IDS["answered"]].device.label == "fox"
    assert entries[IDS["lost"]].answer.reason is Reason.DAMAGED
    assert entries[IDS["exit"]].answer.captured_at.isoformat() == "2026-06-01T12:00:00+02:00"
    assert not (old / "journal.db").exists() and not (old / "spool").exists()


def test_an_old_ledger_goes_on(old: Path) -> None:
    with Ledger(old / "ledger.db", budgets=[Budget(10_000, 31 * 86_400.0)]) as ledger:
        assert ledger.snapshot().frames == 1
        assert ledger.snapshot().spent(Resource.UPLOAD) >= 4_000


def test_an_old_journal_that_cannot_be_read_stops_no_start(old: Path) -> None:
    (old / "journal.db").write_bytes(b"no database" * 1000)
    with Store(old, labels=("empty", "fox")) as store:
        assert set(store.spool.ids()) == {IDS["waits"], IDS["waits_no_row"]}
        answer = store.journal.get(IDS["waits"])
        assert answer is not None and (answer.label, answer.confidence) == ("fox", 0.75)
