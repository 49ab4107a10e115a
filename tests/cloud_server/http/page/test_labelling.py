from __future__ import annotations

from datetime import UTC, datetime

from cloud_server.fleet.report_queries import FrameRow
from cloud_server.http.page.labelling import BUSY_S, Desks, choices, waiting, why


def frame(frame_id: str, label: str, device_label: str, *, audit: bool = False, confidence: float = 0.5) -> FrameRow:
    moment = datetime(2026, 11, 28, tzinfo=UTC)
    said = label, confidence, True, "cloud", device_label, 0.5, audit
    return FrameRow("cam-1", frame_id, moment, "front", frame_id, *said)


def test_audits_and_differences_come_first() -> None:
    frames = [
        frame("sure", "fox", "fox", confidence=0.9),
        frame("unsure", "fox", "fox", confidence=0.3),
        frame("differs", "fox", "deer"),
        frame("audit", "fox", "fox", audit=True),
        frame("audit differs", "fox", "deer", audit=True),
        frame("done", "fox", "deer", audit=True),
        frame("no picture", "fox", "deer", audit=True),
    ]
    asked = waiting([*frames, frames[0]], {("cam-1", "done")}, lambda frame_id: frame_id != "no picture")
    assert [one.frame_id for one in asked] == ["audit differs", "audit", "differs", "unsure", "sure"]
    assert [why(one) for one in asked[:3]] == ["an audit on which the models differ", "an audit", "the models differ"]
    assert choices(frames[2], [*frames, frame("x", "hare", "hare")], {"fox": 9, "boar": 9, "-": 9}) == ["boar", "hare"]


def test_two_who_label_at_once_are_asked_different_pictures() -> None:
    now, frames = [1000.0], [frame(name, "fox", "deer") for name in "abc"]
    desks = Desks(lambda: now[0])

    def first(name: str, left: list[FrameRow] = frames) -> str:
        return desks.order(name, left)[0].frame_id

    assert [first("ada"), first("ben"), first("cleo"), first("ada")] == ["a", "b", "c", "a"]
    assert first("dora") == "a"  # there is no other left
    assert first("ben", frames[:1]) == "a" and desks.order("ben", []) == []
    now[0] += BUSY_S
    assert first("ben") == "a"  # ada has gone away
    now[0] = 0.0  # a clock that is set back keeps nothing from anybody
    assert first("ada") == "a"
