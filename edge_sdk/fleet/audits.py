"""What a device knows of its audits, as the wire carries it: about 15 bytes for each chance of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_sdk.fleet.columns import MalformedReport, packed, unpacked
from edge_sdk.fleet.words import WordList, word_of
from edge_sdk.store.audits import AuditCounts
from edge_sdk.wire import offload_pb2 as wire

MOST_CHANCES = 128
"""Rows of one message; there is one for each chance, of frames and of events."""
_COUNTS = ("drawn", "answered", "waiting", "differ", "labelled", "wrong", "open", "lost", "won")
_MOST = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class ReportedAudits:
    """The audits of one version of a little model, as they travel.

    Attributes:
        model: its name, version and label set.
        counts: by chance, the rising, frames before events; of confident frames and events that could be audited.
            `causes` does not travel; older devices do not tell `open`, `lost` and `won`.
    """

    model: str
    counts: tuple[AuditCounts, ...] = ()


def pack_audits(audits: ReportedAudits, words: WordList) -> wire.ReportedAudits:
    """The message; new words are put to the list."""
    rows = audits.counts
    return wire.ReportedAudits(
        model=words.number_of(audits.model),
        chance=[one.chance for one in rows],
        is_event=packed([int(one.events) for one in rows]),
        exits=packed([one.frames for one in rows]),
        **{name: packed([getattr(one, name) for one in rows]) for name in _COUNTS},
    )


def unpack_audits(came: wire.ReportedAudits, words: Sequence[str]) -> ReportedAudits:
    """Of which `pack_audits` made it; chances are those of 32 bits.

    Args:
        came: as it came.
        words: all of the device's list.

    Raises:
        MalformedReport: it is not as the wire says, or its counts cannot be: more drawn than there were, say.
    """
    many = len(came.chance)
    if many > MOST_CHANCES or not all(0 < chance <= 1 for chance in came.chance):
        raise MalformedReport(f"expected at most {MOST_CHANCES} chances of audits above 0, up to 1; got others")
    events, exits = unpacked("is_event", came.is_event, many), unpacked("exits", came.exits, many)
    columns = [unpacked(name, getattr(came, name), many) for name in _COUNTS]
    rows = [
        AuditCounts(chance, number, events=bool(event), **dict(zip(_COUNTS, counts, strict=True)))
        for chance, number, event, *counts in zip(came.chance, exits, events, *columns, strict=True)
    ]
    if len({(one.events, one.chance) for one in rows}) < many:
        raise MalformedReport("expected one row of audits for each chance; got several")
    if not all(_is_possible(one) for one in rows):
        raise MalformedReport("expected counts of audits that are parts of one another; got more in a part")
    return ReportedAudits(word_of(words, came.model), tuple(sorted(rows, key=lambda one: (one.events, one.chance))))


def _is_possible(one: AuditCounts) -> bool:
    return (
        one.answered + one.waiting <= one.drawn <= one.frames <= _MOST
        and one.differ <= one.answered
        and one.wrong <= one.labelled <= one.drawn
        and one.open + one.lost + one.won <= one.differ
    )
