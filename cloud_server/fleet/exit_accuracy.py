"""How accurate a device's exits are, by the audits that it reports: the device's own estimator, on the server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.model.evidence import Estimate, differing, wrong


@dataclass(frozen=True, slots=True)
class ExitAccuracy:
    """What audits say of all exits of one version of a little model.

    Attributes:
        model: its name, version and label set.
        exits: confident frames, and events answered as a whole, that could be audited.
        audits: of these, those that were drawn.
        answered: of these, those that the cloud answered.
        agree: share of the exits on which the cloud says, or would say, the same; None: none is answered yet.
        right: share of the exits on which the device is right, by labels that people gave on the device; None: none.
    """

    model: str
    exits: int
    audits: int
    answered: int
    agree: Estimate | None
    right: Estimate | None


@lru_cache(maxsize=2048)
def exit_accuracy(audits: ReportedAudits) -> ExitAccuracy:
    """What a device's audits say; the same counts are weighed once, since an interval takes milliseconds."""
    counts = audits.counts
    exits, drawn, answered = (sum(getattr(one, name) for one in counts) for name in ("frames", "drawn", "answered"))
    return ExitAccuracy(audits.model, exits, drawn, answered, _rest(differing(counts)), _rest(wrong(counts)))


def _rest(one: Estimate | None) -> Estimate | None:
    """The estimate of the other share of the exits."""
    return None if one is None else Estimate(1 - one.share, 1 - one.high, 1 - one.low, one.frames)
