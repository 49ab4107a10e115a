"""What a start finds: the spool and the journal are brought to agree, whatever the last run was stopped at.

Spool and journal are two files, so a stop can fall between them. Three things can be found, and each has one right end:

- a frame that left the spool without an answer (`Loss`), or that the journal believes to wait although the spool does
  not know it: the device's answer becomes final, with the reason;
- a frame that waits although its answer is on the disk: it leaves, and is neither sent nor counted again;
- a frame that waits and has no answer at all (its row was not yet written, or is damaged): the device's answer is
  written anew from the probabilities that the frame carries.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from edge_sdk.store.journal import DAMAGED_ROW, Journal
from edge_sdk.store.spool import Loss, Spool
from edge_sdk.types import Answer, Origin, Reason

_log = logging.getLogger(__name__)

NOT_IN_SPOOL = "not in the spool at a start"
"""The note on a frame that was on its way to the spool when the device stopped."""


def lost_answer(loss: Loss) -> Answer:
    """The final word on a lost frame of which nothing else is known: no label."""
    return Answer(loss.frame_id, loss.captured_at, "", None, 0.0, Origin.DEVICE, True, loss.reason)


def recover(spool: Spool, journal: Journal, labels: tuple[str, ...]) -> None:
    """Make every frame either wait in the spool with a provisional answer, or have a final one.

    Args:
        spool: just opened; nothing is sent from it yet.
        journal: just opened.
        labels: the little model's, in the order of its probabilities.
    """
    losses = {loss.frame_id: loss for loss in spool.losses()}
    waiting = spool.ids()
    open_answers = {answer.frame_id: answer for answer in journal.unsettled()}
    finality = journal.finality([*waiting, *losses])
    for frame_id in open_answers.keys() - set(waiting):
        lost = losses.get(frame_id)
        reason, note = (Reason.EVICTED, NOT_IN_SPOOL) if lost is None else (lost.reason, "")
        if open_answers[frame_id].final:  # what the journal makes of a row that it cannot read
            reason, note = open_answers[frame_id].reason, DAMAGED_ROW
        journal.write(replace(open_answers[frame_id], final=True, reason=reason), note=note)
    for frame_id in losses.keys() - finality.keys():
        journal.write(lost_answer(losses[frame_id]), note="nothing else is known of this frame")
    answered = [frame_id for frame_id in waiting if finality.get(frame_id)]
    for frame_id in set(waiting) - finality.keys():
        _write_anew(spool, journal, frame_id, labels)
    if journal.flush():
        spool.ack(*answered, *losses)
    if losses or answered:
        _log.warning("%d frames were lost from the spool, %d had their answer already", len(losses), len(answered))


def _write_anew(spool: Spool, journal: Journal, frame_id: str, labels: tuple[str, ...]) -> None:
    item = spool.peek(frame_id)
    if item is None or len(item.probabilities) != len(labels):
        return
    top = int(item.probabilities.argmax())
    answer = Answer(
        frame_id,
        item.captured_at,
        item.source,
        labels[top],
        float(item.probabilities[top]),
        Origin.DEVICE,
        False,
        Reason.UNSURE,
    )
    journal.write(answer)
