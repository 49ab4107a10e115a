"""The way of one frame: what of it may wait for the disk."""

from __future__ import annotations

import threading
from pathlib import Path

from event_parts import NOTHING, SURE, UNSURE, classifier, frame, killed

from edge_sdk.store.journal import Journal


class Counted(threading.Event):
    """Counts how often it was set: the thread that waits for it may clear it at once."""

    times = 0

    def set(self) -> None:
        self.times += 1
        super().set()


def test_a_look_at_a_still_scene_that_says_the_same_again_waits_for_the_disk(tmp_path: Path) -> None:
    with classifier(tmp_path) as edge:
        table, waits_for = edge._parts.store._table, edge._parts.store._table._written
        table._written = news = Counted()
        waits_for.set()  # the thread that writes goes on to the new one

        def hurries(*said: object, trigger: str = "heartbeat") -> bool:
            edge._parts.store.flush()
            news.clear()
            before = news.times
            edge._walk.answer(frame(*said), trigger)  # type: ignore[arg-type]
            return news.times > before

        assert hurries(NOTHING, 0)  # the first look
        assert not hurries(NOTHING, 30)
        assert hurries(SURE, 60)  # something lies there
        assert not hurries(SURE, 90)
        assert hurries(NOTHING, 120, "other")  # another camera
        assert not hurries(SURE, 150)
        assert hurries(SURE, 180, trigger="learning")
        assert hurries(SURE, 210, trigger="motion")


def test_a_look_that_goes_to_the_cloud_is_on_the_disk_at_once_and_a_kill_costs_repeated_words_alone(
    tmp_path: Path,
) -> None:
    with classifier(tmp_path) as edge:
        first, again = (edge._walk.answer(frame(NOTHING, second), "heartbeat") for second in (0, 30))
        edge._parts.store.flush()
        lost = edge._walk.answer(frame(NOTHING, 60), "heartbeat")
        unsure = edge._walk.answer(frame(UNSURE, 90), "heartbeat")
        assert not unsure.final
        with Journal(killed(tmp_path) / "state") as journal:
            known = {entry.answer.frame_id for entry in journal.query()}
        assert {first.frame_id, again.frame_id} <= known
        assert lost.frame_id not in known
        assert (tmp_path / "killed" / "state" / "frames" / f"{unsure.frame_id}.frame").exists()
