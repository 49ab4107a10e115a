"""Which server is tried next: against a slow reference that reads the whole history anew, and over simulated days."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.config import UplinkSettings
from edge_sdk.link.servers import MOST_GROWTH, Servers

SETTINGS = UplinkSettings(backoff_s=0.5, max_backoff_s=120.0, return_s=600.0)
ALWAYS = lambda *_: True  # noqa: E731
NEVER = lambda *_: False  # noqa: E731


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Reference:
    """Reads the whole history at each question."""

    count: int
    history: list[tuple[float, str, int, bool, float]] = field(default_factory=list)

    def works(self, place: int, until: int | None = None) -> bool:
        events = [what for _, what, where, _, _ in self.history[:until] if where == place and what != "answered"]
        return not events or events[-1] == "opened"

    def ready_at(self, place: int) -> float:
        if self.works(place):
            return 0.0
        failures = list[tuple[float, bool, float, bool]]()
        for number, (at_s, what, where, for_long, jitter) in enumerate(self.history):
            if where != place:
                continue
            if what == "answered":
                failures.clear()
            elif what == "failed":
                others = [other for other in range(self.count) if other != place]
                failures.append((at_s, for_long, jitter, any(self.works(other, number) for other in others)))
        at_s, _, jitter, _ = failures[-1]
        longs = [number for number, one in enumerate(failures) if one[1]]
        wait_s = 120.0 if longs else min(120.0, 0.5 * 2.0 ** (len(failures) - 1))
        wait_s *= 0.75 + jitter / 2
        if any(self.works(other) for other in range(self.count)):
            looks = sum(1 for one in failures if one[3])
            wait_s = max(wait_s, 600.0 * (0.5 + jitter) * [1, 1, 2, 4, 8][min(looks, 4)])
        return at_s + wait_s

    def resume_at(self) -> float:
        failed = [(at_s, jitter) for at_s, what, _, _, jitter in self.history if what == "failed"]
        return failed[-1][0] + 0.5 * (0.75 + failed[-1][1] / 2) if failed else 0.0

    def wait_s(self, now_s: float) -> float:
        return max(0.0, min(self.ready_at(one) for one in range(self.count)) - now_s, self.resume_at() - now_s)

    def choose(self, now_s: float, pays: bool) -> int:
        opened = [place for _, what, place, _, _ in self.history if what == "opened"]
        ready = [place for place in range(self.count) if self.ready_at(place) <= now_s]
        if not ready:
            return min(range(self.count), key=lambda place: (self.ready_at(place), place))
        if opened and opened[-1] in ready and self.works(opened[-1]) and not pays:
            return opened[-1] if ready[0] != opened[-1] else ready[0]
        return ready[0]


STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 3_000.0, allow_nan=False),
        st.sampled_from(["fails", "fails for long", "opens and fails", "answers and fails", "answers"]),
        st.floats(0.0, 1.0, allow_nan=False),
        st.booleans(),
    ),
    max_size=40,
)


@given(st.integers(1, 4), STEPS)
def test_the_choice_is_that_of_a_reference_that_reads_the_whole_history(
    count: int, steps: list[tuple[float, str, float, bool]]
) -> None:
    clock, jitter, reference = Clock(), [0.0], Reference(count)
    servers = Servers(count, SETTINGS, now=clock, jitter=lambda: jitter[0])
    for passed_s, what, jitter[0], pays in steps:
        clock.now_s += passed_s
        assert abs(servers.wait_s - reference.wait_s(clock.now_s)) < 1e-6
        place = servers.choose(ALWAYS if pays else NEVER)
        assert place == reference.choose(clock.now_s, pays)
        told = {"opens and fails": ["opened"], "answers and fails": ["opened", "answered"]}
        for one in told.get(what, ["opened", "answered"] if what == "answers" else []):
            getattr(servers, one)(place)
            reference.history.append((clock.now_s, one, place, False, 0.0))
        if "fails" in what:
            servers.failed(place, for_long="long" in what)
            reference.history.append((clock.now_s, "failed", place, "long" in what, jitter[0]))
        assert [servers.works(one) for one in range(count)] == [reference.works(one) for one in range(count)]


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 1.0, allow_nan=False)), max_size=20))
def test_one_server_waits_as_it_always_did(tries: list[tuple[bool, float]]) -> None:
    """The wait doubles from `backoff_s` to `max_backoff_s`, a quarter more or less, and an answer ends that."""
    clock, jitter, wait_s = Clock(), [0.0], 0.5
    servers = Servers(1, SETTINGS, now=clock, jitter=lambda: jitter[0])
    for answered, jitter[0] in tries:
        assert servers.choose(NEVER) == 0
        servers.opened(0)
        if answered:
            servers.answered(0)
            wait_s = 0.5
        servers.failed(0)
        assert abs(servers.wait_s - wait_s * (0.75 + jitter[0] / 2)) < 1e-6
        wait_s = min(2 * wait_s, 120.0)
        clock.now_s += servers.wait_s


Outages = list[list[tuple[int, int]]]


@st.composite
def outages(draw: st.DrawFn) -> Outages:
    """For each of two or three servers, the spans of a day (minutes) in which it is down."""
    spans = st.lists(st.tuples(st.integers(0, 1_440), st.integers(1, 600)), max_size=3)
    return [[(begin, begin + length) for begin, length in draw(spans)] for _ in range(draw(st.integers(2, 3)))]


@given(outages(), st.randoms(use_true_random=False), st.integers(30, 900), st.booleans())
def test_a_day_of_outages(down: Outages, random: object, every_s: int, pays: bool) -> None:
    clock = Clock(0.0)
    servers = Servers(len(down), SETTINGS, now=clock, jitter=random.random)  # type: ignore[attr-defined]
    tries: list[tuple[float, int, bool]] = []
    longest_s = 1.5 * MOST_GROWTH * SETTINGS.return_s

    def up(place: int, at_s: float) -> bool:
        return not any(60 * begin <= at_s < 60 * end for begin, end in down[place])

    while clock.now_s < 86_400:
        if servers.wait_s > 0:
            clock.now_s += servers.wait_s
            continue
        last = servers.last
        place = servers.choose(ALWAYS if pays else NEVER)
        if not pays and last is not None and servers.works(last):
            assert place >= last  # no look without the bytes for the way back
        works = up(place, clock.now_s)
        tries.append((clock.now_s, place, works))
        if not works:
            servers.failed(place)
            continue
        servers.opened(place)
        servers.answered(place)
        clock.now_s += every_s
    for (at_s, _, works), (next_s, _, _) in itertools.pairwise(tries):
        assert works or next_s - at_s >= 0.75 * SETTINGS.backoff_s - 1e-6
    over_s = 60.0 * max((end for _, end in down[0]), default=0)
    latest_s = over_s + longest_s + every_s + 1.25 * SETTINGS.max_backoff_s
    if pays and latest_s < 86_400:  # the first is used again
        assert any(place == 0 and works and over_s <= at_s <= latest_s for at_s, place, works in tries)
    if all(up(1, 60.0 * minute) for minute in range(1_441)):  # looks at a dead first server are few
        vain = [at_s for at_s, place, works in tries if place == 0 and not works]
        allowed = sum(3 + (end - begin) * 60 / (0.5 * MOST_GROWTH * SETTINGS.return_s) for begin, end in down[0])
        assert len(vain) <= allowed + 2 * len(down[0])


def test_a_fleet_comes_back_spread_over_minutes() -> None:
    clock = Clock(0.0)
    draws = [one / 99 for one in range(100)]
    ready_s = []
    for draw in draws:
        servers = Servers(2, SETTINGS, now=clock, jitter=lambda draw=draw: draw)  # type: ignore[misc]
        servers.failed(0)
        servers.opened(1)
        low, high = 0.0, 10_000.0
        while high - low > 0.01:
            clock.now_s = (low + high) / 2
            low, high = (low, clock.now_s) if servers.choose(ALWAYS) == 0 else (clock.now_s, high)
        ready_s.append(high)
        clock.now_s = 0.0
    assert max(ready_s) - min(ready_s) > 590
    fullest = max(sum(1 for at_s in ready_s if begin <= at_s < begin + 10) for begin in range(0, 1_000, 10))
    assert fullest <= 3  # of a hundred devices, in any ten seconds
