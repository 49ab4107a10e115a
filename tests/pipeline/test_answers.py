"""Losses and late answers where two threads meet."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_parts import item, record

from edge_sdk.budget.ledger import Ledger
from edge_sdk.config import StorageSettings
from edge_sdk.link.transport import Reply, ServerInfo
from edge_sdk.pipeline.answers import Answers
from edge_sdk.pipeline.event_news import EventNews
from edge_sdk.pipeline.event_words import EventWords
from edge_sdk.pipeline.late import LateAnswers
from edge_sdk.store.spool import Spool
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Reason


@contextmanager
def impatient(
    folder: Path, when_lost: Callable[[], object], on_answer: Callable[[Answer], None], **options: object
) -> Iterator[tuple[Spool, Answers, LateAnswers]]:
    """A spool whose frames expire at once, and the answers; `when_lost` is called before a loss is settled."""
    settings = StorageSettings(spool_age_s=1e-6)
    with Store(folder, settings, **options) as store, Ledger(folder / "ledger.db") as ledger:  # type: ignore[arg-type]
        store.spool.add_loss_listener(lambda losses: when_lost())  # type: ignore[arg-type]
        late = LateAnswers(on_answer)
        words = EventWords(store, ("empty", "fox"), 0.0, EventNews())
        yield store.spool, Answers(store, ledger, ("empty", "fox"), 0.0, late, words), late


def test_who_waits_for_answers_hears_of_a_frame_that_is_just_being_lost(tmp_path: Path) -> None:
    """Between the moment when it left the spool and the one when its answer became final, nothing waits."""
    asked = threading.Event()
    heard: list[Answer] = []

    def listen() -> None:
        heard.extend(late.each(30, hopeful))

    def hopeful() -> bool:
        some = len(spool) > 0 or answers.settling
        asked.set()
        return some

    def when_lost() -> None:
        listener.start()
        assert asked.wait(30)

    listener = threading.Thread(target=listen)
    with impatient(tmp_path, when_lost, lambda answer: None) as (spool, answers, late):
        answers.offloads(record("old"), item("old"))
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
def test_frames_that_two_threads_lose_are_told_once(tmp_path: Path) -> None:
    """One thread evicts, the other finds that all are too old."""
    heard: list[Answer] = []
    ids = [f"{number:03d}" for number in range(200)]
    with impatient(tmp_path, lambda: None, heard.append, spool_bytes=20_000) as (spool, answers, _):
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                spool._expiry_due_ns = 0
                spool.next()

        looking = threading.Thread(target=look)
        looking.start()
        final = [answers.offloads(record(frame_id), item(frame_id)).final for frame_id in ids]
        done.set()
        looking.join(60)
        spool._expiry_due_ns = 0
        assert spool.next() is None
        assert not spool.is_telling
    told = [answer.frame_id for answer in heard] + [name for name, told in zip(ids, final, strict=True) if told]
    assert sorted(told) == ids
    assert {answer.reason for answer in heard} <= {Reason.EVICTED, Reason.EXPIRED}


def test_a_callback_may_wait_for_a_thread_that_classifies(tmp_path: Path) -> None:
    """The application's queue is full: the callback waits until the thread that classifies takes something out."""
    heard: list[Answer] = []

    def hear(answer: Answer) -> None:
        heard.append(answer)
        evicting.start()
        evicting.join(60)

    large = item("large", size=10_000)
    evicting = threading.Thread(target=lambda: answers.offloads(record("large"), large))
    with impatient(tmp_path, lambda: None, hear, spool_bytes=5_000) as (spool, answers, _):
        answers.offloads(record("old"), item("old"))
        assert spool.next() is None
        assert not evicting.is_alive()
    assert [answer.frame_id for answer in heard] == ["old"]


def test_a_frame_without_a_place_is_final_at_once_and_told_by_nobody_else(tmp_path: Path) -> None:
    heard: list[Answer] = []
    with impatient(tmp_path, lambda: None, heard.append, spool_bytes=500) as (spool, answers, late):
        said = answers.offloads(record("a"), item("a"))
        assert (said.label, said.final, said.reason) == ("fox", True, Reason.EVICTED)
        assert (heard, late.take(), len(spool)) == ([], None, 0)


def test_an_answer_is_counted_once_it_is_on_the_disk(tmp_path: Path) -> None:
    heard: list[Answer] = []
    reply = Reply("a", "deer", 0.9, (0.1, 0.9), 7, 80, ServerInfo("eva02", ("empty", "deer"), 7))
    with Store(tmp_path, flush_interval_s=3600.0) as store, Ledger(tmp_path / "ledger.db") as ledger:
        words = EventWords(store, ("empty", "fox"), 0.0, EventNews())
        answers = Answers(store, ledger, ("empty", "fox"), 0.0, LateAnswers(heard.append), words)
        answers.offloads(record("a"), item("a"))
        for _ in range(2):
            answers.answered(item("a"), reply)
        assert (ledger.snapshot().answers_cloud, answers.account().answers_cloud) == (0, 1)
        assert store.flush()
        assert answers.account() == ledger.snapshot()
        assert (ledger.snapshot().answers_cloud, ledger.snapshot().macs_big) == (1, 7)
        assert [answer.label for answer in heard] == ["deer"]
        entry = store.journal.entry("a")
        assert entry is not None and [label for label, _ in entry.cloud_top_k] == ["deer", "empty"]
        assert entry.cloud_model == "eva02"
