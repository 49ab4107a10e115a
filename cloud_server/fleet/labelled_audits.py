"""Audits that people labelled here, as the estimate of a device's accuracy counts them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from cloud_server.fleet.database.labels import Label, Labels
from cloud_server.fleet.turn import turn
from edge_sdk.errors import EdgeError
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.report_rows import Rows
from edge_sdk.store.audits import AuditCounts
from edge_sdk.types import Origin

FRESH_S = 30.0
"""Seconds for which rows are given again while nobody labels: reports add to them seldom."""
_AT_ONCE = 500
UNTOLD = 0.0
"""In place of a chance: an older device does not tell it, so its audits stand for no other exits."""
_COLUMNS = (
    f"frame_id, number, model, coalesce(audit_chance, {UNTOLD}), audit_event, coalesce(device_class, device_label), "
    f"CASE WHEN audit_chance > 0 THEN cloud_class WHEN origin = '{Origin.CLOUD.value}' THEN label END"
)


@dataclass(frozen=True, slots=True)
class LabelledAudit:
    """An audit of which a person said what it shows.

    Attributes:
        model: the little model's name, version and label set.
        chance: with which it was drawn; `UNTOLD`: not known.
        is_event: it stands for an event that was answered as a whole.
        device: the device's class; None: none.
        cloud: the cloud's class; None: it has not answered.
        truth: the person's; "-": no class fits.
    """

    model: str
    chance: float
    is_event: bool
    device: str | None
    cloud: str | None
    truth: str

    @property
    def differs(self) -> bool:
        """Whether the cloud answered, another class than the device."""
        return self.cloud is not None and self.cloud != self.device


class LabelledAudits:
    """Reads them, from any thread.

    Args:
        labels: what people say.
        rows: gives what reads the reports; None: there are none.
        clock: seconds since 1970.
    """

    def __init__(self, labels: Labels, rows: Callable[[], Rows | None], clock: Callable[[], float] = time.time) -> None:
        self._labels, self._rows, self._clock = labels, rows, clock
        self._guard = threading.Lock()
        self._read_s, self._known = float("-inf"), -1
        self._found: Mapping[str, tuple[LabelledAudit, ...]] = {}

    def read(self) -> Mapping[str, tuple[LabelledAudit, ...]]:
        """By device, those that were reported first at first; of a frame the latest word counts, at once.

        What was read last, where the reports or the labels cannot be read, or not now.
        """
        with turn(self._guard) as is_ours:
            if not is_ours:
                return self._found
            try:
                known, now_s = self._labels.latest(), self._clock()
                if known != self._known or not 0 <= now_s - self._read_s < FRESH_S:
                    self._found = self._read()
                    self._known, self._read_s = known, now_s
            except EdgeError:
                pass
            return self._found

    def _read(self) -> Mapping[str, tuple[LabelledAudit, ...]]:
        rows = self._rows()
        if rows is None:
            return {}
        said = sorted(self._labels.all(), key=lambda one: one.device)
        found = {device: _audits(rows, device, its) for device, its in groupby(said, key=lambda one: one.device)}
        return {device: audits for device, audits in found.items() if audits}


def with_labels(audits: ReportedAudits, labelled: Iterable[LabelledAudit]) -> tuple[AuditCounts, ...]:
    """The counts that a device reported, with the labels that people made here.

    A device counts the labels that were imported there, which may be the same ones. So of each chance those of one side
    count, of the side that knows more: nothing counts twice. The device's counts are up to a day old; audits beyond
    those that it counted wait for its next count. Audits whose chance is not known count nowhere.

    Args:
        audits: as reported.
        labelled: of the device, those that were reported first at first.
    """
    by_chance: dict[tuple[float, bool], list[LabelledAudit]] = {}
    for one in labelled:
        if one.model == audits.model:
            by_chance.setdefault((one.chance, one.is_event), []).append(one)
    return tuple(_with_labels(one, by_chance.get((one.chance, one.events), [])) for one in audits.counts)


def _with_labels(counts: AuditCounts, labelled: list[LabelledAudit]) -> AuditCounts:
    differing = [one for one in labelled if one.differs][: counts.differ]
    others = [one for one in labelled if not one.differs][: counts.drawn - counts.differ]
    if len(differing) + len(others) <= counts.labelled:
        return counts
    return replace(
        counts,
        labelled=len(differing) + len(others),
        wrong=sum(one.truth != one.device for one in (*differing, *others)),
        open=counts.differ - len(differing),
        lost=sum(one.truth == one.cloud for one in differing),
        won=sum(one.truth == one.device for one in differing),
    )


def _audits(rows: Rows, device: str, labels: Iterable[Label]) -> tuple[LabelledAudit, ...]:
    truths = {one.frame_id: one.label for one in labels if one.label is not None}
    wanted, found = list(truths), list[tuple[int, LabelledAudit]]()
    for first in range(0, len(wanted), _AT_ONCE):
        some = wanted[first : first + _AT_ONCE]
        places = ", ".join("?" * len(some))
        sql = f"SELECT {_COLUMNS} FROM answers WHERE device = ? AND frame_id IN ({places}) AND audit <> 0"
        for frame_id, number, model, chance, is_event, own, cloud in rows(sql, device, *some):
            found.append((number, LabelledAudit(model, chance, bool(is_event), own, cloud, truths[frame_id])))
    return tuple(audit for _, audit in sorted(found, key=lambda one: one[0]))
