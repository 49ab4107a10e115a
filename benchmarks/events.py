"""Visits answered once: accuracy, uploads and bytes on places that neither models nor rules have seen.

    python benchmarks/events.py --records FOLDER [--bundle trailcam] [--calibration 155] [--test 31]

The shipped pair on the simulated camera (`benchmarks/event_frames.py` says which places; about ten minutes on two idle
cores, kept in FOLDER, so that a second run takes seconds). The little model runs in the device's runtime; the big one
sees what the device sends: a frame as 320@80, or a region's surroundings as 256@80. Bytes are those of the pictures.
With `--bundle`, temperatures and rules of another policy are used; FOLDER holds what one network said.

Every rule is chosen on the calibration places by `edge_sdk.workbench.calibrate_events` and judged on the test places,
but for those of the bundle: its rule of events, and its rules of frames, by which every frame is answered by itself.
Two references see every admitted frame: the big model, which gets the whole frames, and, stricter, the weighted mean
(0.3 to 0.7) of both models with both looks. A promise is against the big model on
every frame as it would travel. Intervals (95%) draw whole places anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from event_frames import CALIBRATION, NO_VISIT, Arrays, events_of, load_places, make_places, seeds, softmax
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import Bundle, open_bundle
from edge_sdk.model.policy import EventRule, ExitPolicy, Policy
from edge_sdk.types import Prediction
from edge_sdk.workbench.calibrate_events import calibrate_events
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.cascade.bootstrap import in_percent, ratio_interval
from edge_sdk.workbench.cascade.curve import cascade_curve, lossless
from edge_sdk.workbench.event_records import EventRecords, gather_events

MODES = {"streams": 0, "bursts of 10": 10, "bursts of 5": 5, "bursts of 3": 3}
WEIGHT = 0.3
PROMISES = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1)
Chances = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Seen:
    """Admitted frames of several places, and what the models say of them."""

    policy: Policy
    labels: tuple[str, ...]
    frames: Arrays
    parts: list[Arrays]
    chances: Chances

    @property
    def truths(self) -> NDArray[np.int64]:
        """Class numbers."""
        return np.array([self.labels.index(name) for name in self.frames["truth"]])

    @property
    def near(self) -> NDArray[np.bool_]:
        """Frames with a region."""
        found: NDArray[np.bool_] = self.frames["region"][:, 2] > 0
        return found

    def events(self, little: str, sent: str, most: int, against: str = "big whole") -> EventRecords:
        """The frames as events of at most `most` frames (0: no limit)."""
        frames = self.frames
        return gather_events(
            self.labels,
            events=events_of(frames, frames["place"], most),
            ids=frames["ids"],
            places=frames["place"],
            truths=self.truths,
            little=self.chances[little],
            sent=self.chances[sent],
            upload_bytes=frames["near_bytes" if sent == "big near" else "whole_bytes"],
            reference=self.chances[against],
        )


def see(folder: Path, wanted: list[int], calibration: bool, bundle: Bundle) -> Seen:
    """Load places."""
    policy = bundle.policy
    frames, parts = load_places(folder, wanted, lambda seed: (seed >= CALIBRATION) == calibration)
    chances: dict[str, NDArray[np.float32]] = {}
    moved = (frames["region"][:, 2] > 0)[:, None]
    alone, together = policy.temperature, policy.of_look(near=True).temperature
    for who, seen_whole, with_region in (("little", alone, together), ("big", 1.0, 1.0)):
        whole, first, second = (
            softmax(frames[f"{who}_{look}"], temperature)
            for look, temperature in (("whole", seen_whole), ("whole", with_region), ("near", with_region))
        )
        both = (first + second) / np.float32(2)
        chances |= {f"{who} whole": whole, f"{who} both": np.where(moved, both, whole)}
        chances |= {f"{who} near": np.where(moved, second, whole)}
    chances["both models"] = WEIGHT * chances["little both"] + (1 - WEIGHT) * chances["big both"]
    return Seen(policy, bundle.manifest.labels, frames, parts, chances)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer events: what is right, and what is sent.

    Attributes:
        name: of the way.
        rule: its thresholds, in words.
        answers: `int64 (E,)`.
        uploads: `int64 (E,)`, pictures sent for each event.
        sent: `float64 (E,)`, their bytes.
    """

    name: str
    rule: str
    answers: NDArray[np.int64]
    uploads: NDArray[np.int64]
    sent: NDArray[np.float64]


def ways(mine: Seen, test: Seen, most: int) -> list[Way]:
    """Every way, with rules chosen on `mine`; the first two are the references."""
    base = test.events("little whole", "big whole", most)
    owner = events_of(test.frames, test.frames["place"], most)
    at = np.unique(owner[owner >= 0], return_inverse=True)[1]

    def per_event(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(at, weights=values[owner >= 0].astype(np.float64)), np.float64)

    whole, near = per_event(test.frames["whole_bytes"]), per_event(test.frames["near_bytes"])
    said = {name: test.events("little both", "big near", most, name) for name in ("big near", "both models")}
    threshold = frame_threshold(mine)
    unsure = test.chances["little whole"].max(axis=1) < threshold
    mixed = np.where(unsure[:, None], test.chances["big whole"], test.chances["little whole"])
    ships, goes = by_the_bundle(test)
    chances = test.chances | {"cascade": mixed, "ships": ships}
    cascade, shipped = (
        replace(test, chances=chances).events(name, "big whole", most).means(3).argmax(axis=1)
        for name in ("cascade", "ships")
    )
    sent = per_event(unsure).astype(np.int64), per_event(unsure * test.frames["whole_bytes"])
    gone = per_event(goes).astype(np.int64), per_event(goes * test.frames["near_bytes"])
    nothing = np.zeros(len(base), np.int64), np.zeros(len(base))
    twice = 2 * base.counts, whole + near
    found = [
        Way("every frame to the big model, whole", "", base.reference_answers(3), base.counts, whole),
        Way("both models, both looks, every frame", "", said["both models"].reference_answers(3), *twice),
        Way("every frame's region to the big model", "", said["big near"].reference_answers(3), base.counts, near),
        Way("the device alone, both looks", "", said["big near"].means(3).argmax(axis=1), *nothing),
        Way("cascade frame by frame, whole frames", f"T {threshold:.3f}", cascade, *sent),
        Way("cascade frame by frame, both looks, region sent", "the bundle's rules", shipped, *gone),
    ]
    for name, little, big in (
        ("events: whole frame seen and sent", "little whole", "big whole"),
        ("events: both looks, whole frame sent", "little both", "big whole"),
        ("events: both looks, region sent", "little both", "big near"),
    ):
        for against in ("big whole", "both models"):
            rule = no_loss(mine.events(little, big, most, against))
            text = f"no loss against {against}: {in_short(rule)}"
            found.append(event_way(name, text, test.events(little, big, most, against), rule))
        found += promised(name, mine.events(little, big, most, big), test.events(little, big, most, big))
    if (own := test.policy.events) is not None:
        found.append(
            event_way("events: both looks, region sent", f"the bundle's: {in_short(own)}", said["big near"], own)
        )
    return found


def by_the_bundle(seen: Seen) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Each frame's last word `float32 (N, C)` by the bundle's rule of its look, and which frames are sent."""
    chances, big = seen.chances["little both"], seen.chances["big near"]
    words, goes = chances.copy(), np.zeros(len(chances), np.bool_)
    for near in (False, True):
        policy = seen.policy.of_look(near)
        rule, rows = ExitPolicy(policy), np.flatnonzero(seen.near == near)
        goes[rows] = [not rule.decide(Prediction(seen.labels, chances[row])).exits for row in rows]
        sent = rows[goes[rows]]
        words[sent] = policy.ensemble * chances[sent] + (1 - policy.ensemble) * big[sent]
    return words, goes


def promised(name: str, calibration: EventRecords, test: EventRecords) -> list[Way]:
    """The rule with the smallest promise that the calibration places can give, against the big model on every frame."""
    for eps in PROMISES:
        try:
            rule = calibrate_events(calibration, Rule(eps=eps)).rule
        except WorkbenchError:
            continue
        return [event_way(name, f"promise {100 * eps:g} points: {in_short(rule)}", test, rule)]
    return []


def no_loss(events: EventRecords) -> EventRule:
    """Frames, temperature and weight as the calibration fits them, and a threshold chosen on all events.

    It is the lowest at which these are answered as rightly as by the reference, or, where none reaches that, the lowest
    of the greatest accuracy.
    """
    fitted = calibrate_events(events, Rule(drop=0.0)).rule
    mean = events.decided_on(fitted)
    curve = cascade_curve(
        mean.max(axis=1),
        mean.argmax(axis=1) == events.truths,
        events.final(mean, fitted.ensemble).argmax(axis=1) == events.truths,
        little_macs=np.nan,
        big_macs=np.nan,
    )
    wanted = min(int((events.reference_answers(fitted.best) == events.truths).sum()), int(curve.right.max()))
    threshold = curve.thresholds[np.flatnonzero(curve.right >= wanted - 1e-9)[-1]]
    if curve.right[-1] >= wanted - 1e-9:
        threshold = 0.0
    return EventRule(min(1.0, float(threshold)), fitted.best, fitted.ensemble, fitted.temperature)


def event_way(name: str, text: str, events: EventRecords, rule: EventRule) -> Way:
    """A rule on test events."""
    mean = events.decided_on(rule)
    goes = mean.max(axis=1) < rule.threshold
    answers = np.where(goes, events.final(mean, rule.ensemble).argmax(axis=1), mean.argmax(axis=1))
    return Way(name, text, answers, goes.astype(np.int64), goes * events.upload_bytes[:, 0].astype(float))


def in_short(rule: EventRule) -> str:
    """A rule in few letters."""
    return f"T {rule.threshold:.2f}, best {rule.best}, weight {rule.ensemble:g}"


def frame_threshold(seen: Seen) -> float:
    """The lowest threshold at which a cascade of whole frames loses nothing, frame by frame."""
    little, big = seen.chances["little whole"], seen.chances["big whole"]
    right = [one.argmax(axis=1) == seen.truths for one in (little, big)]
    return lossless(cascade_curve(little.max(axis=1), *right, little_macs=np.nan, big_macs=np.nan)).threshold


def visits_right(seen: Seen, most: int, answers: NDArray[np.int64]) -> NDArray[np.float64]:
    """`float64 (V,)`: of each visit that came by, whether most of its admitted frames have the right answer.

    A visit is a trigger of the simulated camera; one of which the gate admits nothing is answered as empty.
    """
    owner = events_of(seen.frames, seen.frames["place"], most)
    said = np.full(len(owner), -1)
    said[owner >= 0] = answers[np.unique(owner[owner >= 0], return_inverse=True)[1]]
    empty, right, start = seen.labels.index("empty"), [], 0
    for part in seen.parts:
        rows = said[start : start + len(part["index"])]
        start += len(rows)
        trigger = np.cumsum(np.diff(part["every_time"], prepend=part["every_time"][0]) > 2.0)
        for number in range(int(trigger[-1]) + 1):
            truth = part["every_truth"][trigger == number]
            shown = [seen.labels.index(name) for name in truth if name != "empty"]
            mine = rows[trigger[part["index"]] == number]
            mine = mine[mine >= 0]
            if len(mine) == 0 and number == 0:
                continue  # the gate was learning
            answer = int(np.bincount(mine).argmax()) if len(mine) else empty
            right.append(float(answer == (int(np.bincount(shown).argmax()) if shown else empty)))
    return np.array(right)


def mode_table(mode: str, mine: Seen, test: Seen) -> Table:
    """All ways on the test places."""
    most = MODES[mode]
    events = test.events("little whole", "big whole", most)
    found = ways(mine, test, most)
    right = [way.answers == events.truths for way in found]
    full, places = found[0].sent, events.places
    title = f"{mode}: {len(events)} events of {events.counts.mean():.1f} frames at {len(np.unique(places))} places"
    table = Table(title=title, title_justify="left")
    columns = ("way", "rule", "events right, %", "visits right, %", "against the big model", "against both models")
    for column in (*columns, "uploads", "kB each", "fewer bytes"):
        table.add_column(column, justify="left" if column in ("way", "rule") else "right")
    for way, ours in zip(found, right, strict=True):
        uploads, sent = int(way.uploads.sum()), float(way.sent.sum())
        fewer = "1" if way is found[0] else "-"
        if sent and way is not found[0]:
            low, high = ratio_interval(full, places, way.sent)
            fewer = f"{full.sum() / sent:.1f} [{low:.1f}, {high:.1f}]"
        table.add_row(
            way.name,
            way.rule,
            in_percent(ours, places),
            f"{100 * visits_right(test, most, way.answers).mean():.1f}",
            *(in_percent(ours.astype(float) - one, places, "+") for one in right[:2]),
            f"{uploads:,}",
            f"{sent / uploads / 1000:.1f}" if uploads else "",
            fewer,
        )
    return table


def rest_table(test: Seen) -> Table:
    """Frames that the gate admits without movement, which belong to no event: what the bundle's rules send of them."""
    rest = np.isin(test.frames["trigger"], [str(one) for one in NO_VISIT]) & ~test.near
    little, truths, places = test.chances["little whole"][rest], test.truths[rest], test.frames["place"][rest]
    sizes = test.frames["whole_bytes"][rest]
    right = little.argmax(axis=1) == truths, test.chances["big whole"][rest].argmax(axis=1) == truths
    columns = ("rule", "frames", "sent, %", "MB", "right, %", "little, %", "big, %")
    table = Table(*columns, title="frames without movement, answered by themselves", title_justify="left")
    for name, still in (("of frames seen whole", False), ("that ships", True)):
        rule = ExitPolicy(test.policy.of_look(near=False, still=still))
        exits = np.array([rule.decide(Prediction(test.labels, row)).exits for row in little])
        shares = (~exits, np.where(exits, *right), *right)
        sent, *rights = (in_percent(one, places) for one in shares)
        table.add_row(name, str(len(exits)), sent, f"{sizes[~exits].sum() / 1e6:.2f}", *rights)
    table.caption = f"every admitted frame, whole: {test.frames['whole_bytes'].sum() / 1e6:.1f} MB"
    return table


@click.command(context_settings={"show_default": True})
@click.option("--records", type=click.Path(path_type=Path), required=True, help="Folder of what the models said.")
@click.option("--bundle", "name", default="trailcam", help="A bundle's folder, or the name of one that ships.")
@click.option("--calibration", default=155, help="Places that rules are chosen on.")
@click.option("--test", "tested", default=31, help="Places that they are judged on.")
def main(records: Path, name: str, calibration: int, tested: int) -> None:
    """Measure the ways to answer visits."""
    wanted, bundle = seeds(calibration, tested), open_bundle(name)
    make_places(records, wanted, bundle)
    mine, test = see(records, wanted, True, bundle), see(records, wanted, False, bundle)
    console = Console(width=250)
    for name, seen in (("calibration", mine), ("test", test)):
        rights = {who: 100 * (chances.argmax(axis=1) == seen.truths).mean() for who, chances in seen.chances.items()}
        console.print(f"{name}: {len(seen.parts)} places, {len(seen.truths)} frames admitted; of them right, %: " +
                      ", ".join(f"{who} {value:.1f}" for who, value in rights.items()))  # fmt: skip
    for mode in MODES:
        console.print(mode_table(mode, mine, test))
    console.print(rest_table(test))


if __name__ == "__main__":
    main()
