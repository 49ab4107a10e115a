"""Event records: what both models say of visits, put together from what they say of frames.

A visit is answered once (`edge_sdk.model.policy.EventRule`): the little model's probabilities are averaged over the
frames that look least empty to it; an unsure visit sends the first of these frames, and the last word is a weighted
mean of both models. The reference is what it replaces: every frame goes to the big model, whose probabilities are
averaged over the frames that look least empty to *it*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.nothing import says_nothing
from edge_sdk.model.policy import EventRule, Policy
from edge_sdk.workbench.cascade.curve import Bools, Floats
from edge_sdk.workbench.records import UNKNOWN, Records, check_same

MOST_BEST = 5
"""Frames of an event that are kept: no rule asks for more."""
GAP_S = 10.0
"""Seconds without a frame that end an event."""
LONGEST_S = 120.0
"""Seconds after which an event ends though frames go on coming."""


@dataclass(frozen=True, slots=True, eq=False)
class EventRecords:
    """What both models say of E events of C classes.

    Of each event the `MOST_BEST` = B frames that look least empty are kept, the least empty first; an event of fewer
    frames has its last one again, and `counts` tells.

    Attributes:
        labels: the C class names.
        ids: `str (E,)`, unique.
        places: `str (E,)`, where each was seen: events of one place are alike.
        truths: `int64 (E,)`: what most frames show of those that show something, else the class of nothing there;
            `UNKNOWN`: no frame is labelled.
        counts: `int64 (E,)`, frames of the event.
        little: `float32 (E, B, C)`, the little model's probabilities, by its own order of emptiness.
        sent: `float32 (E, B, C)`, the big model's of the same frames as they travel.
        upload_bytes: `int64 (E, B)`, their sizes; 0: unknown.
        reference: `float32 (E, B, C)`, the big model's, by its own order of emptiness.
        began: `float64 (E,)`, seconds since 1970; NaN: unknown.

    Raises:
        WorkbenchError: shapes that do not fit, no event.
    """

    labels: tuple[str, ...]
    ids: NDArray[np.str_]
    places: NDArray[np.str_]
    truths: NDArray[np.int64]
    counts: NDArray[np.int64]
    little: NDArray[np.float32]
    sent: NDArray[np.float32]
    upload_bytes: NDArray[np.int64]
    reference: NDArray[np.float32]
    began: NDArray[np.float64]

    def __post_init__(self) -> None:
        count, classes = len(self.ids), len(self.labels)
        if not count:
            raise WorkbenchError("expected at least one event; got none")
        shapes: dict[str, tuple[int, ...]] = {name: (count,) for name in ("places", "truths", "counts", "began")}
        shapes |= {name: (count, MOST_BEST, classes) for name in ("little", "sent", "reference")}
        shapes["upload_bytes"] = (count, MOST_BEST)
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise WorkbenchError(f"expected {name} of shape {shape}; got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, chosen: Bools | NDArray[np.intp]) -> EventRecords:
        """The chosen events alone."""
        arrays = (getattr(self, name)[chosen] for name in self.__slots__ if name != "labels")
        return EventRecords(self.labels, *arrays)

    def means(self, best: int, of: NDArray[np.float32] | None = None) -> Floats:
        """`float64 (E, C)`: the mean over the `best` first frames of `of` (default: `little`)."""
        kept = np.minimum(self.counts, best)[:, None] > np.arange(MOST_BEST)[None, :best]
        chances = (self.little if of is None else of)[:, :best].astype(np.float64)
        result: Floats = (chances * kept[..., None]).sum(axis=1) / kept.sum(axis=1)[:, None]
        return result

    def reference_answers(self, best: int) -> NDArray[np.int64]:
        """`int64 (E,)`: the class by the big model on every frame."""
        answers: NDArray[np.int64] = self.means(best, self.reference).argmax(axis=1)
        return answers

    def decided_on(self, rule: EventRule) -> Floats:
        """`float64 (E, C)`: the mean that the rule decides on."""
        return tempered(self.means(rule.best), rule.temperature)

    def final(self, mean: Floats, ensemble: float) -> Floats:
        """`float64 (E, C)`: the last word on events whose least empty frame the big model has seen.

        Args:
            mean: as `decided_on` gives it.
            ensemble: its weight.
        """
        result: Floats = ensemble * mean + (1 - ensemble) * self.sent[:, 0].astype(np.float64)
        return result


def tempered(chances: Floats, temperature: float) -> Floats:
    """Probabilities `(E, C)` to the power 1 / `temperature`, made to sum to 1 again."""
    powered = np.maximum(np.asarray(chances, np.float64), 1e-12) ** (1 / temperature)
    result: Floats = powered / powered.sum(axis=1, keepdims=True)
    return result


def group_frames(places: Sequence[str], times: Floats, *, gap_s: float = GAP_S, most: int = 0) -> NDArray[np.int64]:
    """The event of each frame, as a device groups them: frames of one place without a gap between them.

    Args:
        places: of N frames, in the order in which they were taken.
        times: `float64 (N,)`, seconds since 1970; NaN: the frame belongs to no event.
        gap_s: seconds without a frame that end an event.
        most: frames after which an event ends, as in a burst; 0: no limit.

    Returns:
        `int64 (N,)`: the row of the event's first frame; -1: none.
    """
    found = np.full(len(times), -1, np.int64)
    open_events: dict[str, tuple[int, float, float, int]] = {}
    for row, (place, now) in enumerate(zip(places, times.tolist(), strict=True)):
        if np.isnan(now):
            continue
        first, began, last, count = open_events.get(place, (row, now, now, 0))
        if not (abs(now - last) <= gap_s and now - began <= LONGEST_S and (not most or count < most)):
            first, began, last, count = row, now, now, 0
        found[row] = first
        open_events[place] = first, began, max(last, now), count + 1
    return found


def events_from_records(little: Records, big: Records, policy: Policy) -> EventRecords:
    """The events of a pair's records; frames are put together by place and capture time, in whatever order they stand.

    Args:
        little: the bundle's.
        big: the big model's, of each frame as it would travel; it is also the reference.
        policy: the bundle's, with its temperatures.

    Raises:
        WorkbenchError: records that do not fit one another, without capture times, or of the top class alone.
    """
    check_same(little, big)
    events = event_of_frames(little)
    if big.probabilities is None or little.places is None or not (events >= 0).any():
        raise WorkbenchError(
            "expected records of visits: with all probabilities, places and capture times (photos with EXIF times, or "
            "simulated://trailcam?...&streams=1&gate=1)"
        )
    return gather_events(
        little.info.labels,
        events=events,
        ids=little.ids,
        places=little.places,
        truths=little.truths,
        little=little.calibrated_by(policy),
        sent=big.probabilities.astype(np.float32),
        upload_bytes=big.upload_bytes,
        times=little.times,
    )


def event_of_frames(records: Records) -> NDArray[np.int64]:
    """`int64 (N,)`: the event of each record, as `group_frames` gives it; -1: none."""
    if records.times is None or records.places is None:
        return np.full(len(records), -1, np.int64)
    order = np.lexsort((records.times, records.places))
    grouped = group_frames(records.places[order].tolist(), records.times[order])
    found = np.full(len(records), -1, np.int64)
    found[order] = np.where(grouped >= 0, order[grouped], -1)
    return found


def has_visits(records: Records) -> bool:
    """Whether some event has two frames or more."""
    found = event_of_frames(records)
    return len(np.unique(found[found >= 0])) < int((found >= 0).sum())


def spaced_frames(records: Records, fewest: int = 0) -> NDArray[np.bool_]:
    """`bool (N,)`: frames that do not look alike: of each event one in six, and of the frames of no event at a place.

    Where that leaves fewer than `fewest`, one in three or two, or all.
    """
    found = event_of_frames(records)
    if records.places is not None:
        _, place = np.unique(records.places, return_inverse=True)
        found = np.where(found < 0, -1 - place, found)
    moments = np.zeros(len(records)) if records.times is None else records.times
    order = np.lexsort((moments, found))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.searchsorted(found[order], found[order])
    ways = (rank % every == 0 for every in (6, 3, 2))
    return next((kept for kept in ways if kept.sum() >= fewest), np.ones(len(records), np.bool_))


def emptiness(chances: Floats, labels: Sequence[str]) -> Floats:
    """`float64 (N,)`: the probability of the classes of nothing there; without any, how unsure the model is."""
    empty = [number for number, label in enumerate(labels) if says_nothing(label)]
    exact = np.asarray(chances, np.float64)
    result: Floats = exact[:, empty].sum(axis=1) if empty else 1.0 - exact.max(axis=1)
    return result


def gather_events(
    labels: Sequence[str],
    *,
    events: NDArray[np.int64],
    ids: NDArray[np.str_],
    places: NDArray[np.str_],
    truths: NDArray[np.int64],
    little: Floats,
    sent: Floats,
    upload_bytes: NDArray[np.int64] | None = None,
    reference: Floats | None = None,
    times: Floats | None = None,
) -> EventRecords:
    """Put frames together to events.

    Args:
        labels: class names.
        events: `int64 (N,)`, of `group_frames`; frames of -1 are left out.
        ids: `str (N,)`; an event has that of its first frame.
        places: `str (N,)`.
        truths: `int64 (N,)`; -1: unknown.
        little: `float (N, C)` probabilities on the device.
        sent: `float (N, C)` probabilities of the big model, of each frame as it travels.
        upload_bytes: `int64 (N,)`.
        reference: `float (N, C)` of the model that sees every frame; None: `sent`.
        times: `float64 (N,)`, capture times, seconds since 1970.

    Raises:
        WorkbenchError: no frame belongs to an event.
    """
    against = sent if reference is None else reference
    sizes = np.zeros(len(events), np.int64) if upload_bytes is None else upload_bytes
    ours, theirs = emptiness(little, labels), emptiness(against, labels)
    firsts = np.unique(events[events >= 0])
    if not len(firsts):
        raise WorkbenchError("expected frames of events; these have no capture times, or nothing moved in them")
    order = np.argsort(events, kind="stable")
    members = np.split(order, np.searchsorted(events[order], firsts))[1:]
    best = np.array([_least(rows, ours) for rows in members])
    theirs_best = np.array([_least(rows, theirs) for rows in members])
    nothing = [number for number, label in enumerate(labels) if says_nothing(label)]
    return EventRecords(
        tuple(labels),
        ids[firsts],
        places[firsts],
        np.array([_truth(truths[rows], nothing) for rows in members], np.int64),
        np.array([len(rows) for rows in members], np.int64),
        np.asarray(little, np.float32)[best],
        np.asarray(sent, np.float32)[best],
        sizes[best],
        np.asarray(against, np.float32)[theirs_best],
        np.full(len(firsts), np.nan) if times is None else np.array([times[rows].min() for rows in members]),
    )


def _least(rows: NDArray[np.intp], empty: Floats) -> NDArray[np.intp]:
    """The `MOST_BEST` rows that look least empty; the last again where there are fewer."""
    found = rows[np.argsort(empty[rows], kind="stable")][:MOST_BEST]
    return np.append(found, np.repeat(found[-1:], MOST_BEST - len(found)))


def _truth(truths: NDArray[np.int64], nothing: Sequence[int]) -> int:
    known = truths[truths != UNKNOWN]
    seen = known[~np.isin(known, nothing)]
    if not len(known):
        return UNKNOWN
    return int(np.bincount(seen if len(seen) else known).argmax())
