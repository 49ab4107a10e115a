"""Spool and journal after a stop that fell between them."""

from __future__ import annotations

from pathlib import Path

from test_journal import cloud, device, spoil
from test_spool import item

from edge_sdk.store.journal import DAMAGED_ROW, Journal
from edge_sdk.store.recovery import recover
from edge_sdk.store.spool import Spool
from edge_sdk.types import Origin, Reason

LABELS = ("empty", "fox")


def test_what_the_journal_believes_to_wait_and_the_spool_does_not_know_becomes_final(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool, Journal(tmp_path / "journal.db") as journal:
        spool.put(item("waits"))
        for frame_id in ("waits", "gone"):
            journal.write(device(frame_id, final=False))
        recover(spool, journal, LABELS)
        gone, waits = journal.get("gone"), journal.get("waits")
        assert gone is not None and (gone.label, gone.final, gone.reason) == ("fox", True, Reason.EVICTED)
        assert waits is not None and not waits.final


def test_a_loss_is_settled_with_its_reason_and_forgotten(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool, Journal(tmp_path / "journal.db") as journal:
        for frame_id in ("known", "unknown"):
            spool.put(item(frame_id))
            (tmp_path / "spool" / "frames" / f"{frame_id}.frame").write_bytes(b"")
        journal.write(device("known", final=False))
        assert spool.next() is None
        recover(spool, journal, LABELS)
        known, unknown = journal.get("known"), journal.get("unknown")
        assert known is not None and (known.label, known.final, known.reason) == ("fox", True, Reason.DAMAGED)
        assert unknown is not None and (unknown.label, unknown.final, unknown.reason) == (None, True, Reason.DAMAGED)
        assert spool.losses() == ()


def test_a_frame_whose_answer_is_there_leaves(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool, Journal(tmp_path / "journal.db") as journal:
        spool.put(item("a"))
        journal.write(cloud("a"))
        recover(spool, journal, LABELS)
        assert len(spool) == 0
        assert journal.get("a") == cloud("a")


def test_a_frame_without_any_answer_gets_the_devices_again(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool") as spool, Journal(tmp_path / "journal.db") as journal:
        spool.put(item("a"))
        recover(spool, journal, LABELS)
        answer = journal.get("a")
        assert answer is not None
        assert (answer.label, answer.confidence, answer.origin, answer.final) == ("fox", 0.75, Origin.DEVICE, False)
        assert answer.source == "simulated://trailcam"
        assert spool.ids() == ("a",)


def test_a_frame_that_waits_outlives_its_damaged_row(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal(path) as journal:
        journal.write(device("waits", "woodpigeon", final=False))
        journal.write(device("gone", "capercaillie", final=False))
    spoil(path, b"woodpigeon", b"woodqigeom")
    spoil(path, b"capercaillie", b"caperkaillia")
    with Spool(tmp_path / "spool") as spool, Journal(path) as journal:
        spool.put(item("waits"))
        recover(spool, journal, LABELS)
        waits, gone = journal.get("waits"), journal.get("gone")
        assert waits is not None and (waits.label, waits.confidence, waits.final) == ("fox", 0.75, False)
        assert gone is not None and (gone.label, gone.final, gone.reason) == (None, True, Reason.DAMAGED)
        assert [entry.note for entry in journal.query(final=True)] == [DAMAGED_ROW]
        assert journal.damaged() == 1
        assert journal.unsettled() == [waits]
        assert spool.ids() == ("waits",)
