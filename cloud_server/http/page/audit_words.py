"""What audits and people's labels say of how accurate a device's exits are, in words."""

from __future__ import annotations

import numpy as np

from cloud_server.fleet.exit_accuracy import exit_accuracy
from cloud_server.fleet.labelled_audits import UNTOLD, LabelledAudit
from edge_sdk.fleet.report_file import Status, Tally
from edge_sdk.model.betting import bounds
from edge_sdk.model.evidence import Estimate

_DELTA = 0.05
_VAGUE = 0.9
"""Width of an interval that says nothing."""


def audits_words(status: Status, tally: Tally, labelled: tuple[LabelledAudit, ...] = ()) -> str:
    """How accurate all exits are, with an interval of 95% that holds at all times together.

    Where people labelled audits, the share that is right by their labels stands beside that on which the cloud agrees.

    Of a device that does not tell the chances of its audits, how often the cloud, and people, agree with those that it
    audited; why these stand for no other exits is said.
    """
    right, untold = _right_of_untold(labelled)
    if status.audits is None:
        said = _agreement(tally)
        if untold:
            said += f"; right on {right:,} of {count_of(untold, 'audit', 'audits')} that people labelled"
        unsaid = "; of all its exits nothing can be said: its older software does not tell its audits' chances"
        return said + unsaid if tally.audits or untold else said
    found = exit_accuracy(status.audits, labelled)
    of = count_of(found.exits, "exit", "exits")
    if found.agree is None:
        waits = count_of(found.audits, "audit", "audits")
        said = f"of {of} {waits} and no answer yet" if found.audits else f"no audits yet of {of}"
    else:
        said = f"the cloud agrees on {_share(found.agree)} of {of}, by {count_of(found.answered, 'audit', 'audits')}"
    if found.right is not None:
        said += f"; right by people's labels: {_share(found.right)}, by {found.labelled:,} of {found.audits:,} audits"
    if untold:
        said += f"; {count_of(untold, 'label', 'labels')} of audits whose chances it did not tell yet do not count"
    model = status.health.bundle
    return f"{said} (of {found.model}, before {model})" if model and found.model and model != found.model else said


def audits_in_short(status: Status, tally: Tally, labelled: tuple[LabelledAudit, ...] = ()) -> list[tuple[str, str]]:
    """What `audits_words` says in two or three words each, and how sure that is; nothing: too little is known."""
    if status.audits is None:
        short = []
        if tally.answered:
            share = 1 - tally.differ / tally.answered
            short.append((f"{share:.1%} agree", count_of(tally.answered, "audit alone", "audits alone")))
        right, untold = _right_of_untold(labelled)
        if untold:
            short.append(
                (f"{right / untold:.1%} right", count_of(untold, "label, audits alone", "labels, audits alone"))
            )
        return short
    found = exit_accuracy(status.audits, labelled)
    short = []
    if found.agree is not None:
        short.append((f"{found.agree.share:.1%} agree", f"{found.agree.low:.0%} to {found.agree.high:.0%}"))
    if found.right is not None:
        short.append((f"{found.right.share:.1%} right", count_of(found.labelled, "label", "labels")))
    return short


def _right_of_untold(labelled: tuple[LabelledAudit, ...]) -> tuple[int, int]:
    """Of the labelled audits whose chance is not known, on how many the device is right, and how many they are."""
    untold = [one for one in labelled if one.chance == UNTOLD]
    return sum(one.truth == one.device for one in untold), len(untold)


def _share(one: Estimate) -> str:
    if one.high - one.low > _VAGUE:
        return f"{one.share:.1%} (too few to be sure of anything)"
    return f"{one.share:.1%} ({one.low:.1%} to {one.high:.1%})"


def _agreement(tally: Tally) -> str:
    if not tally.answered:
        return (
            f"{count_of(tally.audits, 'audit waits', 'audits wait')} for the cloud" if tally.audits else "no audits yet"
        )
    ones, doubts = np.array([tally.differ]), np.array([tally.audits - tally.answered])
    low, high = bounds(tally.audits, ones, doubts, np.array([1.0]), 1.0, _DELTA)
    share = 1 - tally.differ / tally.answered
    many = count_of(tally.answered, "audit agrees", "audits agree")
    return f"{share:.1%} of {many} ({1 - high:.1%} to {1 - low:.1%})"


def count_of(number: int, one: str, more: str) -> str:
    """A number of things in words."""
    return f"{number:,} {one if number == 1 else more}"
