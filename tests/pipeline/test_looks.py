"""Which rule a frame is decided by, and what is answered as a whole: by what was looked at, and who gave the frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from event_parts import DAWN, LABELS, SURE, UNSURE, bundle_in, classifier, frame, says_fox
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_sdk import EdgeClassifier, EventSettings, Frame, MotionGate, Preferences, Region
from edge_sdk.camera.gate import GateReason, GateResult
from edge_sdk.model.agreement import Agreement
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.policy import EventRule, ExitPolicy, GainTable, Histogram, LookRule, Policy, StillRule
from edge_sdk.pipeline.audit import AuditDraw
from edge_sdk.testing import FakeRuntime, FakeTransport
from edge_sdk.types import Prediction, Reason, View

BOX = Region(10, 10, 20, 15, 0.9)


class OpenGate(MotionGate):
    """Admits every frame for the same reason, with one region."""

    def __init__(self, reason: GateReason = GateReason.MOTION, regions: tuple[Region, ...] = (BOX,)) -> None:
        super().__init__()
        self._result = GateResult(True, reason, 0.1, regions)

    def admits(self, frame: Frame) -> bool:
        self._last = self._result
        return True


def edge(folder: Path, policy: Policy, **options: Any) -> EdgeClassifier:
    """A classifier that looks twice, and answers events as the bundle says."""
    return classifier(folder, policy, **{"view": View.BOTH, "events": None, **options})


def watched(edge: EdgeClassifier, frames: Iterable[Frame]) -> list[Any]:
    return [answer for _, answer in edge.watch(frames)]


def test_frames_of_the_gate_are_answered_as_events_and_those_of_a_program_by_themselves(tmp_path: Path) -> None:
    policy = Policy(threshold=0.8, events=EventRule(threshold=0.9, best=2))
    with edge(tmp_path, policy, gate=OpenGate()) as device:
        assert device.answers_events and device.threshold == 0.9
        gated = watched(device, [frame(UNSURE, second) for second in range(3)])
        bare = device.classify(frame(SURE, 100)), device.classify(frame(UNSURE, 101))
        events = list(device.events())
    assert [(one.reason, one.final, one.event is not None) for one in gated] == [(Reason.EVENT, False, True)] * 3
    assert [(one.reason, one.final, one.event) for one in bare] == [
        (Reason.CONFIDENT, True, None),
        (Reason.UNSURE, False, None),
    ]
    assert [(one.frames, one.final) for one in events] == [(3, False)]


def test_a_program_may_ask_in_the_middle_of_a_visit(tmp_path: Path) -> None:
    policy = Policy(events=EventRule(threshold=0.6, best=2))
    bare = []

    def frames(device: EdgeClassifier) -> Iterable[Frame]:
        for second in range(4):
            yield frame(SURE, second)
            bare.append(device.classify(frame(UNSURE, second + 0.5)))

    with edge(tmp_path, policy, gate=OpenGate()) as device:
        gated = watched(device, frames(device))
        device.classify(frame(SURE, 60))  # shows that the visit of the others is over
        events = {one.event_id: one for one in device.events()}
    assert {one.event.event_id for one in gated} == {gated[0].frame_id}
    assert [one.reason for one in bare] == [Reason.UNSURE] * 4
    of_gate, summed_up = events.values()
    assert (of_gate.frames, of_gate.label, of_gate.final) == (4, "deer", True)
    assert (summed_up.event_id, summed_up.frames) == (bare[0].frame_id, 4)


@pytest.mark.parametrize(
    ("given_per", "gate", "expected"),
    [
        (None, OpenGate(), Reason.EVENT),
        (None, None, Reason.CONFIDENT),
        (None, OpenGate(GateReason.HEARTBEAT, ()), Reason.CONFIDENT),
        ("event", None, Reason.EVENT),
        ("frame", OpenGate(), Reason.CONFIDENT),
    ],
)
def test_who_is_answered_as_an_event(
    tmp_path: Path, given_per: str | None, gate: MotionGate | None, expected: Reason
) -> None:
    policy = Policy(events=EventRule(threshold=0.6))
    with edge(tmp_path, policy, gate=gate, events=EventSettings(answer_per=given_per)) as device:
        (answer,) = watched(device, [frame(SURE)])
        assert device.answers_events == (given_per == "event" or (given_per is None and gate is not None))
        assert device.classify(frame(SURE, 50)).final == (given_per != "event")
    assert answer.reason is expected


def test_without_a_rule_of_events_the_gate_changes_nothing(tmp_path: Path) -> None:
    with edge(tmp_path, Policy(), gate=OpenGate()) as device:
        (answer,) = watched(device, [frame(SURE)])
        assert answer.final and answer.reason is Reason.CONFIDENT and not device.answers_events


TWO = Policy(threshold=0.9, temperature=2.0, regions=LookRule(threshold=0.5, temperature=0.5, ensemble=0.9))


@pytest.mark.parametrize(
    ("region", "view", "near"),
    [(BOX, "both", True), (BOX, "region", True), (BOX, "frame", False), (None, "both", False)],
)
def test_the_rule_is_that_of_the_look(tmp_path: Path, region: Region | None, view: str, near: bool) -> None:
    asked = frame((0.2, 0.5, 0.3))
    asked = Frame(asked.image, DAWN, regions=() if region is None else (region,))
    with edge(tmp_path, TWO, view=view) as device:
        answer = device.classify(asked)
        (entry,) = device.journal.query()
    squared, rooted = (np.array([0.2, 0.5, 0.3]) ** power for power in (2, 0.5))
    chances = squared / squared.sum() if near else rooted / rooted.sum()
    assert answer.confidence == pytest.approx(chances[1], abs=0.01)
    assert (answer.reason, answer.final) == ((Reason.CONFIDENT, True) if near else (Reason.UNSURE, False))
    assert (entry.region is not None) == near


def test_a_threshold_of_the_users_holds_for_both_looks(tmp_path: Path) -> None:
    near, whole = Frame(frame(SURE).image, DAWN, regions=(BOX,)), frame(SURE)
    with edge(tmp_path, TWO, threshold=1.01) as device:
        assert not device.classify(near).final and not device.classify(whole).final
        device.reconfigure(threshold=0.0)
        assert device.classify(near).final and device.classify(whole).final


@pytest.mark.parametrize(("regions", "label"), [((), "fox"), ((BOX,), "deer")])
def test_the_voice_in_a_late_answer_is_that_of_the_look(
    tmp_path: Path, regions: tuple[Region, ...], label: str
) -> None:
    transport = FakeTransport(LABELS, says_fox)
    with edge(tmp_path, TWO, threshold=1.01, cloud="localhost:1", transport=transport) as device:
        answer = device.classify(Frame(frame(SURE).image, DAWN, regions=regions), wait_s=20)
    assert (answer.label, answer.reason) == (label, Reason.CLOUD)


def test_status_and_drift_go_by_the_look_of_most_frames(tmp_path: Path) -> None:
    low, high = Histogram((0.5,), (1000, 0)), Histogram((0.5,), (0, 1000))
    policy = Policy(threshold=0.7, confidences=low, regions=LookRule(threshold=0.6, confidences=high))
    near = [Frame(frame(SURE).image, DAWN, regions=(BOX,)) for _ in range(250)]
    with edge(tmp_path, policy) as device:
        assert device.threshold == 0.7
        for one in near:
            device.classify(one)
        for second in range(20):
            device.classify(frame((0.2, 0.5, 0.3), second))
        found = device.drift()
        assert found is not None and (found.frames, found.drifted) == (250, False)
    with EdgeClassifier(
        bundle_in(tmp_path, policy),
        runtime=FakeRuntime(_evenly),
        view="both",
        gate=OpenGate(),
        state_dir=tmp_path / "b",
    ) as device:
        assert device.threshold == 0.6


def _evenly(pixels: Any) -> list[float]:
    return np.log(pixels.reshape(-1, 3).mean(0) + 1e-3).tolist()  # type: ignore[no-any-return]


def test_audits_are_drawn_by_the_bands_of_the_look_and_promise_what_both_keep() -> None:
    def seen(at_most: float, *differ: int) -> Agreement:
        return Agreement(edges=(0.9,), exits=(1000, 1000), differ=differ, at_most=at_most)

    policy = Policy(agreement=seen(0.02, 100, 1), regions=LookRule(agreement=seen(0.05, 1, 100)))
    draw = AuditDraw(policy, 0.05, bytes(32))
    assert draw.chance(0.8) > draw.chance(0.95)
    assert draw.chance(0.8, near=True) < draw.chance(0.95, near=True)
    assert draw.chance(0.8) == AuditDraw(Policy(agreement=policy.agreement), 0.05, bytes(32)).chance(0.8)
    assert policy.promised_to_differ == 0.05
    assert Policy(agreement=seen(0.02, 1, 1), regions=LookRule()).promised_to_differ is None


rules = st.builds(
    LookRule,
    threshold=st.floats(0, 1),
    temperature=st.floats(0.3, 3),
    ensemble=st.floats(0, 0.9),
    gate=st.one_of(
        st.none(),
        st.builds(
            GainTable,
            confidences=st.just((0.2, 0.6, 0.9)),
            gains=st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=3, max_size=3).map(tuple),
            exit_at_or_below=st.floats(-0.5, 0.5),
        ),
    ),
)


@given(rules, st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.booleans())
def test_two_equal_rules_decide_as_one(rule: LookRule, chances: list[float], near: bool) -> None:
    fields = {name: getattr(rule, name) for name in rule.__struct_fields__}
    one, two = Policy(**fields), Policy(**fields, regions=rule)
    said = Prediction(LABELS, np.array(chances, np.float32) / np.float32(sum(chances)))
    assert two.of_look(near) == one == one.of_look(near)
    assert ExitPolicy(two.of_look(near)).decide(said) == ExitPolicy(one).decide(said)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules, st.lists(st.tuples(st.sampled_from([SURE, UNSURE, (0.5, 0.45, 0.05)]), st.booleans()), max_size=4))
def test_a_classifier_with_two_equal_rules_answers_as_one(
    tmp_path_factory: pytest.TempPathFactory, rule: LookRule, seen: list[tuple[tuple[float, ...], bool]]
) -> None:
    fields = {name: getattr(rule, name) for name in rule.__struct_fields__}
    said = []
    for policy in (Policy(**fields), Policy(**fields, regions=rule)):
        with edge(tmp_path_factory.mktemp("state"), policy) as device:
            asked = [Frame(frame(chances).image, DAWN, regions=(BOX,) if near else ()) for chances, near in seen]
            answers = map(device.classify, asked)
            said.append([(one.label, one.confidence, one.reason, one.final) for one in answers])
    assert said[0] == said[1]


def test_policies_of_before_have_one_rule_and_readers_of_before_take_the_new_ones(tmp_path: Path) -> None:
    class Before(msgspec.Struct, frozen=True, kw_only=True):
        """Some fields of a reader that knows no regions."""

        threshold: float
        temperature: float

    written = bundle_in(tmp_path, TWO).path / "policy.json"
    assert msgspec.json.decode(written.read_bytes(), type=Before) == Before(threshold=0.9, temperature=2.0)
    fields = msgspec.json.decode(written.read_bytes())
    assert open_bundle(written.parent).policy == TWO and fields["min_reader"] == 1
    del fields["regions"]
    written.write_bytes(msgspec.json.encode(fields))
    old = open_bundle(written.parent).policy
    assert old.regions is None and old.of_look(True) == old == old.of_look(False) == TWO.of_look(False)


@pytest.mark.parametrize("reason", [GateReason.HEARTBEAT, GateReason.LEARNING, GateReason.SCENE])
def test_frames_in_which_nothing_moves_go_by_their_own_rule_and_are_not_audited(
    tmp_path: Path, reason: GateReason
) -> None:
    policy = Policy(threshold=0.9, still=StillRule(threshold=0.3), events=EventRule(threshold=0.99, best=2))
    given = {"preferences": Preferences(audit=1.0)}
    with edge(tmp_path / "gate", policy, gate=OpenGate(reason, ()), **given) as device:
        (watched_one,) = watched(device, [frame(UNSURE)])
        bare = device.classify(frame(UNSURE, 50))
        entry = device.journal.entry(watched_one.frame_id)
    assert (watched_one.reason, bare.reason) == (Reason.CONFIDENT, Reason.UNSURE)
    assert entry is not None and entry.audit_chance is None and not entry.audit
    with edge(tmp_path / "box", policy, gate=OpenGate(reason), **given) as device:
        (with_region,) = watched(device, [frame(UNSURE)])  # something was seen to move: the rule of the look holds
    assert with_region.reason is Reason.UNSURE
    with edge(tmp_path / "own", policy, gate=OpenGate(reason, ()), threshold=0.99) as device:
        (own,) = watched(device, [frame(UNSURE)])
    assert own.reason is Reason.UNSURE  # a threshold of the program's holds for all
