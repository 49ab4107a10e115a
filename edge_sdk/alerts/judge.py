"""Which alerts leave: rules held against answers and against what lasts, within quiet hours and rates."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from edge_sdk.alerts.alert import Alert, Kind, Phase
from edge_sdk.alerts.quiet import QuietHours
from edge_sdk.alerts.rule import AlertRule, Rate
from edge_sdk.durable.clock import Clock
from edge_sdk.errors import ConfigError
from edge_sdk.pipeline.event_words import answer_of
from edge_sdk.types import Answer

_FRAMES = 1_000


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that lasts and of which alerts are sent when it begins and when it ends.

    Attributes:
        kind: fault, budget, drift or audit.
        name: what it is about; there is one condition of a kind and name.
        text: one sentence for a person.
    """

    kind: Kind
    name: str
    text: str


@dataclass(slots=True)
class _State:
    """What is remembered of one rule.

    Attributes:
        sent: when its latest alerts were made, steady seconds, the oldest first.
        frames: frames and events that were told, the latest.
        told: conditions whose beginning was told.
    """

    rule: AlertRule
    rate: Rate | None
    quiet: QuietHours
    sent: deque[float]
    frames: OrderedDict[str, None] = field(default_factory=OrderedDict)
    told: dict[tuple[Kind, str], Condition] = field(default_factory=dict)


class Judge:
    """Holds rules against what happens. Not thread-safe; no input or output.

    Args:
        rules: at least one; their names differ.
        device: name of the device, for the alerts.
        clock: the wall clock for quiet hours, the steady one for rates.
        zone: of quiet hours; None: this machine's.
        history: for each rule's name, how many seconds ago alerts were made before this start.

    Attributes:
        last: the latest answer that a rule names, sent or not; None: none yet.
        held: number of class alerts that were not sent, for quiet hours or a rate.

    Raises:
        ConfigError: there is no rule, or two have one name.
    """

    def __init__(
        self,
        rules: Iterable[AlertRule],
        *,
        device: str,
        clock: Clock,
        zone: tzinfo | None = None,
        history: Mapping[str, Iterable[float]] | None = None,
    ) -> None:
        self._device, self._clock, self._zone = device, clock, zone
        self.last: Answer | None = None
        self.held = 0
        self._states: list[_State] = []
        now_s = clock.steady_s()
        for rule in rules:
            if not isinstance(rule, AlertRule):
                raise ConfigError(f"expected rules as a list of AlertRule; got {rule!r} in it")
            if rule.name in {state.rule.name for state in self._states}:
                raise ConfigError(f"expected rules of different names; two are called {rule.name!r}: give one a name")
            rate = rule.rate
            ago = sorted((history or {}).get(rule.name, ()), reverse=True)
            sent = deque((now_s - max(0.0, one) for one in ago), maxlen=rate.count if rate else 1)
            self._states.append(_State(rule, rate, rule.quiet_hours, sent))
        if not self._states:
            raise ConfigError("expected one AlertRule at least; got none")

    def answer(self, answer: Answer) -> list[Alert]:
        """The alerts that an answer gives rise to, one for each rule that names it.

        Of a frame whose event is answered as a whole, the event's word counts, once for all of its frames.
        """
        found = []
        unit = answer.frame_id
        if (event := answer.event) is not None:
            answer, unit = answer_of(event), event.event_id
        for state in self._states:
            if not state.rule.names(answer) or unit in state.frames:
                continue
            self.last = answer
            if not answer.final or state.rule.provisional:  # else a frame has one last word
                state.frames[unit] = None
                if len(state.frames) > _FRAMES:
                    state.frames.popitem(last=False)
            if not self._may(state):
                self.held += 1
                continue
            found.append(
                Alert.of_answer(answer, device=self._device, rule=state.rule.name, wall_s=self._clock.wall_s())
            )
        return found

    def conditions(self, now: Iterable[Condition]) -> list[Alert]:
        """The alerts of what began and what ended.

        Args:
            now: everything that lasts at this moment.
        """
        there = {(one.kind, one.name): one for one in now}
        found = []
        for state in self._states:
            for key, condition in there.items():
                if condition.kind in state.rule.kinds and key not in state.told and self._may(state):
                    state.told[key] = condition
                    found.append(self._alert(state.rule, condition, Phase.BEGAN, condition.text))
            for key in [key for key in state.told if key not in there]:
                if not self._quiet(state):
                    gone = state.told.pop(key)
                    found.append(self._alert(state.rule, gone, Phase.ENDED, f"over: {gone.text}"))
        return found

    def _may(self, state: _State) -> bool:
        """Whether the rule may send one now; it then counts."""
        if self._quiet(state):
            return False
        now_s = self._clock.steady_s()
        if state.rate is not None:
            if len(state.sent) == state.rate.count and now_s - state.sent[0] < state.rate.period_s:
                return False
            state.sent.append(now_s)
        return True

    def _quiet(self, state: _State) -> bool:
        return state.quiet.holds(self._clock.wall_s(), self._zone)

    def _alert(self, rule: AlertRule, condition: Condition, phase: Phase, text: str) -> Alert:
        moment = datetime.fromtimestamp(self._clock.wall_s(), UTC)
        return Alert(condition.kind, self._device, text, moment, rule=rule.name, phase=phase, about=condition.name)
