"""What a piece of work has cost, all sessions together."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.workbench.spent import Account, Spent, peak_memory_bytes


def test_the_sessions_of_a_run_add_up_and_their_peaks_do_not(tmp_path: Path) -> None:
    now = 0.0

    def clock() -> float:
        return now

    file = tmp_path / "spent.json"
    for session in range(1, 4):
        account = Account(file=file, clock=clock)
        now += 100
        account.note()
        assert account.now().sessions == session
        assert account.now().seconds == pytest.approx(100 * session)
        now += 1000  # the pause before the next one
    assert Account(Spent(1, 5, 1 << 60)).now().peak_memory_bytes == 1 << 60
    assert account.now().peak_memory_bytes == peak_memory_bytes() > 1 << 20


def test_the_file_is_written_every_five_seconds_and_when_asked(tmp_path: Path) -> None:
    now = 0.0
    file = tmp_path / "spent.json"
    account = Account(file=file, clock=lambda: now)
    now = 4.9
    account.note()
    assert not file.exists()
    account.note(at_once=True)
    assert Account(file=file).earlier.seconds == pytest.approx(4.9)
    now = 9.8
    account.note()
    assert Account(file=file).earlier.seconds == pytest.approx(4.9)
    now = 9.9
    account.note()
    assert Account(file=file).earlier.seconds == pytest.approx(9.9)


def test_a_session_that_is_stopped_leaves_its_file_and_work_that_is_done_does_not(tmp_path: Path) -> None:
    file = tmp_path / "there" / "spent.json"
    for session in (1, 2):
        with pytest.raises(KeyboardInterrupt), Account(file=file):
            raise KeyboardInterrupt
        assert Account(file=file).earlier.sessions == session
    with Account(file=file, keep=True):
        pass
    with Account(file=file) as last:
        assert last.now().sessions == 4
    assert not file.exists()


def test_a_garbled_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "spent.json"
    file.write_text("{")
    assert Account(file=file).earlier == Spent()


def test_several_sessions_are_named() -> None:
    assert Spent(1, 12.4, 1_240_000_000).sentence() == "12 s, at most 1.2 GB of memory"
    assert Spent(3, 12.4, 1_240_000_000).sentence() == "12 s in 3 sessions, at most 1.2 GB of memory"
