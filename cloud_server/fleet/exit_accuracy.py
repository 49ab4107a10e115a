"""How accurate a device's exits are, by its audits and what people say of them: its own estimator, on the server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cloud_server.fleet.labelled_audits import LabelledAudit, with_labels
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
        labelled: of the audits, those of which people said what they show, here or on the device.
        right: share of the exits on which the device is right, by these labels; None: there are none.
    """

    model: str
    exits: int
    audits: int
    answered: int
    agree: Estimate | None
    labelled: int
    right: Estimate | None


@lru_cache(maxsize=2048)
def exit_accuracy(audits: ReportedAudits, labelled: tuple[LabelledAudit, ...] = ()) -> ExitAccuracy:
    """What a device's audits say; the same counts are weighed once, since an interval takes milliseconds.

    Args:
        audits: as reported.
        labelled: its audits that people labelled here, as `LabelledAudits.read` gives them.
    """
    counts = with_labels(audits, labelled)
    names = ("frames", "drawn", "answered", "labelled")
    exits, drawn, answered, known = (sum(getattr(one, name) for one in counts) for name in names)
    agree, right = _rest(differing(counts)), _rest(wrong(counts))
    return ExitAccuracy(audits.model, exits, drawn, answered, agree, known, right)


def _rest(one: Estimate | None) -> Estimate | None:
    """The estimate of the other share of the exits."""
    return None if one is None else Estimate(1 - one.share, 1 - one.high, 1 - one.low, one.frames)
