"""A real device answers visits as a whole, and a real server is asked about each unsure one once."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from cloud_server.local import start_local_server
from edge_sdk import EdgeClassifier, Event, MotionGate, Origin
from edge_sdk.camera.simulated import SimulatedCamera


def test_one_frame_of_each_unsure_event_travels_and_settles_it(tmp_path: Path) -> None:
    kept, told = tmp_path / "kept", list[Event]()
    options = ["--device", "cpu", "--threads", "1", "--archive", str(kept)]
    with (
        start_local_server("trailcam", *options) as address,
        EdgeClassifier(
            "trailcam",
            cloud=address,
            state_dir=tmp_path / "state",
            threshold=0.9999,
            gate=MotionGate(),
            budget="5MB/day",
            on_event=told.append,
        ) as edge,
        SimulatedCamera(seed=3) as camera,
    ):
        answers = [answer for _, answer in edge.watch(islice(camera, 150))]
        late = list(edge.late_answers(wait_s=60))
        events = list(edge.events())
        usage, rows = edge.usage, edge.journal.events()
        frames = {entry.answer.frame_id: entry for entry in edge.journal.query()}
    lines = [json.loads(line) for line in (kept / "answers.jsonl").read_text().splitlines()]

    last = {event.event_id: event for event in events}
    assert last and told == events and all(event.final for event in last.values())
    asked = {event_id for event_id, event in last.items() if event.origin is Origin.CLOUD}
    assert (asked and len(asked) < len(last)) or len(last) == len(asked)
    assert usage.events == len(last) and usage.events_offloaded == len(asked)
    alone = [one for one in frames.values() if not one.event]  # no movement brought them
    assert (
        usage.offloads == usage.answers_cloud == len(asked) + sum(one.cloud is not None for one in alone) == len(late)
    )
    assert usage.frames == usage.exits + usage.offloads == len(answers)
    assert {line["event"] for line in lines if "event" in line} == asked
    assert 0 < usage.bytes_sent < 5_000_000
    assert {row.event.event_id: row.event.label for row in rows} == {key: event.label for key, event in last.items()}
    for event in last.values():
        mine = [entry for entry in frames.values() if entry.event == event.event_id]
        assert len(mine) == event.frames
        assert [entry.answer.frame_id for entry in mine if entry.cloud] == [event.best_frame_id] * (
            event.event_id in asked
        )
