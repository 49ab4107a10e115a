from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_parts import NOON
from sqlalchemy import Engine

from cloud_server.fleet.database.reports import SharedReports
from cloud_server.fleet.exit_accuracy import exit_accuracy
from cloud_server.fleet.fleet import Fleet
from cloud_server.fleet.labelled_audits import UNTOLD, LabelledAudit, with_labels
from cloud_server.fleet.report_store import Report, ReportStore
from edge_sdk.fleet.answers import AuditedAs, ReportedAnswer
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.report_file import Status
from edge_sdk.store.audits import AuditCounts
from edge_sdk.types import Origin, Reason

MODEL = "trailcam 3"
CHANCES = (0.125, 0.5)
CLASSES = ("fox", "deer", "-")


@dataclass(frozen=True)
class Drawn:
    """An audit: what device and cloud said, and what people said here and on the device."""

    chance: float
    is_event: bool
    device: str
    cloud: str | None
    here: str | None
    there: str | None

    @property
    def labelled(self) -> LabelledAudit:
        assert self.here is not None
        return LabelledAudit(MODEL, self.chance, self.is_event, self.device, self.cloud, self.here)


words = st.sampled_from(CLASSES)
drawn = st.builds(
    Drawn, st.sampled_from(CHANCES), st.booleans(), words, st.none() | words, st.none() | words, st.none() | words
)


def counted(audits: list[Drawn], truths: list[str | None]) -> tuple[AuditCounts, ...]:
    """What a device counts, one audit after another, where people said this of each."""
    found = []
    for is_event in (False, True):
        for chance in CHANCES:
            its = [
                (one, truth)
                for one, truth in zip(audits, truths, strict=True)
                if (one.chance, one.is_event) == (chance, is_event)
            ]
            if its:
                answered = [(one, truth) for one, truth in its if one.cloud is not None]
                differ = [(one, truth) for one, truth in answered if one.cloud != one.device]
                labelled = [(one, truth) for one, truth in its if truth is not None]
                found.append(
                    AuditCounts(
                        chance,
                        round(len(its) / chance) + 3,
                        len(its),
                        len(answered),
                        differ=len(differ),
                        labelled=len(labelled),
                        wrong=sum(truth != one.device for one, truth in labelled),
                        lost=sum(truth == one.cloud for one, truth in differ),
                        won=sum(truth == one.device for one, truth in differ),
                        open=sum(truth is None for _, truth in differ),
                        events=is_event,
                    )
                )
    return tuple(found)


def right_of(audits: list[Drawn], truths: list[str | None]) -> Fraction | None:
    """The share that is right, audit by audit: each one stands for 1 / chance exits of its kind."""
    said = [(one, truth, 1 / Fraction(one.chance)) for one, truth in zip(audits, truths, strict=True)]
    if not any(truth is not None for _, truth, _ in said):
        return None
    differs = [one.cloud is not None and one.cloud != one.device for one in audits]
    wrong = {}
    for kind, without in ((True, Fraction(1)), (False, Fraction(0))):
        looked = [(one, truth, weight) for (one, truth, weight), is_kind in zip(said, differs, strict=True)
                  if is_kind is kind and truth is not None]  # fmt: skip
        total = sum((weight for *_, weight in looked), Fraction(0))
        bad = sum((weight for one, truth, weight in looked if truth != one.device), Fraction(0))
        wrong[kind] = bad / total if total else without
    share = share_of_differing(audits)
    if share is None:
        return None
    return 1 - (share * wrong[True] + (1 - share) * wrong[False])


def share_of_differing(audits: list[Drawn]) -> Fraction | None:
    """As exits stand behind the audits of each chance: chances without an answer go with the next that has one."""
    strata, pending, answers = [], Fraction(0), [Fraction(0), Fraction(0)]
    counts = counted(audits, [None] * len(audits))
    for one in counts:
        pending += one.frames
        answers[0] += one.differ / Fraction(one.chance)
        answers[1] += one.answered / Fraction(one.chance)
        if one.answered:
            strata.append([pending, answers[0] / answers[1]])
            pending, answers = Fraction(0), [Fraction(0), Fraction(0)]
    if not strata:
        return None
    strata[-1][0] += pending
    return sum((exits * share for exits, share in strata), Fraction(0)) / sum(one.frames for one in counts)


@given(st.lists(drawn, min_size=1, max_size=12))
def test_labels_here_are_counted_as_the_device_counts_its_own(audits: list[Drawn]) -> None:
    here = [one.here for one in audits]
    reported = ReportedAudits(MODEL, counted(audits, [None] * len(audits)))
    labelled = tuple(one.labelled for one in audits if one.here is not None)
    assert with_labels(reported, labelled) == counted(audits, here)
    found = exit_accuracy(reported, labelled)
    expected = right_of(audits, here)
    assert found.labelled == len(labelled)
    if expected is not None:
        assert found.right is not None and found.right.low <= found.right.share <= found.right.high
        inside = min(max(float(expected), found.right.low), found.right.high)
        assert found.right.share == pytest.approx(inside)


@given(st.lists(drawn, min_size=1, max_size=12))
def test_no_label_counts_twice(audits: list[Drawn]) -> None:
    labelled = tuple(one.labelled for one in audits if one.here is not None)
    imported = ReportedAudits(MODEL, counted(audits, [one.here for one in audits]))
    assert with_labels(imported, labelled) == imported.counts
    both = ReportedAudits(MODEL, counted(audits, [one.there for one in audits]))
    for told, merged in zip(both.counts, with_labels(both, labelled), strict=True):
        here = [one for one in labelled if (one.chance, one.is_event) == (told.chance, told.events)]
        assert merged.labelled == max(told.labelled, len(here)) <= told.drawn


@given(st.lists(drawn, max_size=12), st.integers(0, 12))
def test_audits_that_the_device_has_not_counted_yet_wait(audits: list[Drawn], known: int) -> None:
    earlier = ReportedAudits(MODEL, counted(audits[:known], [None] * len(audits[:known])))
    labelled = tuple(one.labelled for one in audits if one.here is not None)
    for told, merged in zip(earlier.counts, with_labels(earlier, labelled), strict=True):
        assert merged.wrong <= merged.labelled <= told.drawn
        assert merged.open + merged.lost + merged.won <= merged.differ == told.differ
    assert exit_accuracy(earlier, labelled).labelled <= sum(one.drawn for one in earlier.counts)


def test_labels_of_another_version_of_the_model_do_not_count() -> None:
    reported = ReportedAudits("trailcam 4", (AuditCounts(0.5, 100, 50, 50, differ=2, open=2),))
    assert exit_accuracy(reported, (LabelledAudit(MODEL, 0.5, False, "fox", "deer", "fox"),)).right is None


def told(number: int, label: str = "deer", audited: AuditedAs | None = None) -> ReportedAnswer:
    said = label, 0.9, Origin.CLOUD, Reason.CLOUD, "fox", 0.8
    return ReportedAnswer(f"{number:032x}", NOON, "cam", MODEL, *said, f"{number:032x}", True, audited)


def test_a_label_counts_at_once_and_no_longer_when_it_is_taken_back(engine: Engine, tmp_path: Path) -> None:
    fleet = Fleet(engine, reports=tmp_path / "reports")

    async def keep() -> None:
        where = fleet.reports
        store = ReportStore(where) if isinstance(where, Path) else SharedReports(engine)
        known = AuditedAs(0.5, "", "", False), AuditedAs(0.25, "red fox", "roe deer", True)
        await store.keep("cam-1", Report(Status(), [told(1, audited=known[0]), told(2, audited=known[1]), told(3)]))
        await store.close()

    asyncio.run(keep())
    assert fleet.labelled_audits.read() == {}
    for number in (2, 1, 3, 4):
        fleet.labels.add("cam-1", f"{number:032x}", "roe deer", "ada")
    event = LabelledAudit(MODEL, 0.25, True, "red fox", "roe deer", "roe deer")
    frame = LabelledAudit(MODEL, 0.5, False, "fox", "deer", "roe deer")
    older = LabelledAudit(MODEL, UNTOLD, False, "fox", "deer", "roe deer")
    assert fleet.labelled_audits.read() == {"cam-1": (frame, event, older)}
    fleet.labels.add("cam-1", f"{1:032x}", None, "ada")
    assert fleet.labelled_audits.read() == {"cam-1": (event, older)}
    counts = (AuditCounts(0.25, 100, 25, 25, differ=1, open=1, events=True),)
    found = exit_accuracy(ReportedAudits(MODEL, counts), (event, older))
    assert found.labelled == 1, "an audit whose chance is not known stands for no exits"
