"""One alert, and its JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from alert_parts import NOON, answer

from edge_sdk.alerts.alert import Alert, Kind, Phase


def test_an_alert_survives_its_json() -> None:
    made = Alert.of_answer(answer("Füchse 🦊", 0.934), device="cam-1", rule="foxes", wall_s=NOON.timestamp() + 2)
    assert Alert.from_json(made.to_json()) == made
    shown = json.loads(made.to_json())
    assert shown["kind"] == "class"
    assert shown["label"] == "Füchse 🦊"
    assert shown["text"] == "Füchse 🦊, 93% sure (device)"
    assert shown["captured_at"] == "2027-01-15T12:00:00Z"
    assert shown["at"] == "2027-01-15T12:00:02Z"
    assert len(shown["alert_id"]) == 32


def test_one_that_is_about_no_frame_says_so() -> None:
    made = Alert(Kind.FAULT, "cam-1", "link: offline", NOON, phase=Phase.BEGAN)
    assert json.loads(made.to_json())["frame_id"] is None
    assert Alert.from_json(made.to_json()) == made


def test_names_that_are_no_text_can_be_sent() -> None:
    said = replace(answer("a\x1b[31m\n"), source="card/\udcfc.jpg")
    made = Alert.of_answer(said, device="cam-1", rule="all", wall_s=0.0)
    assert Alert.from_json(made.to_json()) == made
    assert made.source == r"card/\udcfc.jpg"
    assert made.label == "a\x1b[31m\n"
    assert made.text.startswith(r"a\x1b[31m\n, 90% sure")


@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense", b'{"kind": "war"}', b"\xff"])
def test_what_is_no_alert_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        Alert.from_json(content)
