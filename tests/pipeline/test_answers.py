"""Losses and late answers where two threads meet."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from test_journal import device
from test_spool import item

from edge_sdk.budget.ledger import Ledger
from edge_sdk.pipeline.answers import Answers
from edge_sdk.pipeline.late import LateAnswers
from edge_sdk.store.journal import Journal
from edge_sdk.store.spool import Spool
from edge_sdk.types import Answer, Frame, Reason

FRAME = Frame(np.zeros((8, 8, 3), np.uint8))


@contextmanager
def impatient(
    folder: Path, when_lost: Callable[[], object], on_answer: Callable[[Answer], None]
) -> Iterator[tuple[Spool, Answers, LateAnswers]]:
    """A spool whose frames expire at once, and the answers; `when_lost` is called before a loss is settled."""
    with (
        Spool(folder / "spool", max_age_s=1e-6) as spool,
        Journal(folder / "journal.db") as journal,
        Ledger(folder / "ledger.db") as ledger,
    ):
        spool.add_loss_listener(when_lost)
        late = LateAnswers(on_answer)
        yield spool, Answers(journal, spool, ledger, ("empty", "fox"), 0.0, late), late


def wait(spool: Spool, answers: Answers, *frame_ids: str) -> None:
    """Frames wait for the cloud."""
    for frame_id in frame_ids:
        answers.first(device(frame_id, final=False), FRAME)
        spool.put(item(frame_id))


def test_who_waits_for_answers_hears_of_a_frame_that_is_just_being_lost(tmp_path: Path) -> None:
    """Between the moment when it left the spool and the one when its answer became final, nothing waits."""
    asked = threading.Event()
    heard: list[Answer] = []

    def listen() -> None:
        heard.extend(late.each(30, lambda: hopeful() or answers.unsettled_losses()))

    def hopeful() -> bool:
        some = len(spool) > 0
        asked.set()
        return some

    def when_lost() -> None:
        listener.start()
        assert asked.wait(30)

    listener = threading.Thread(target=listen)
    with impatient(tmp_path, when_lost, lambda answer: None) as (spool, answers, late):
        wait(spool, answers, "old")
        assert spool.next() is None
        listener.join(60)
    assert [(answer.frame_id, answer.final, answer.reason) for answer in heard] == [("old", True, Reason.EXPIRED)]


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as can be, so that they meet wherever they may."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_losses_that_two_threads_settle_are_told_once(tmp_path: Path) -> None:
    heard: list[Answer] = []
    both = threading.Barrier(2)

    def evict() -> None:
        both.wait(30)
        answers.evicted(*ids, note="no room")

    ids = [str(number) for number in range(200)]
    evicting = threading.Thread(target=evict)
    with impatient(tmp_path, lambda: both.wait(30), heard.append) as (spool, answers, _):
        wait(spool, answers, *ids)
        evicting.start()
        assert spool.next() is None
        evicting.join(60)
    assert sorted(answer.frame_id for answer in heard) == sorted(ids)


def test_a_callback_may_wait_for_a_thread_that_settles_losses(tmp_path: Path) -> None:
    """The application's queue is full: the callback waits until the thread that classifies takes something out."""
    heard: list[Answer] = []

    def hear(answer: Answer) -> None:
        heard.append(answer)
        evicting.start()
        evicting.join(60)

    evicting = threading.Thread(target=lambda: answers.evicted("new", note="no room"))
    with impatient(tmp_path, lambda: None, hear) as (spool, answers, _):
        wait(spool, answers, "old")
        assert spool.next() is None
        assert not evicting.is_alive()
    assert [answer.frame_id for answer in heard] == ["old"]
