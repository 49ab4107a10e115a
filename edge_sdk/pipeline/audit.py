"""Which confident frames and events are sent all the same, so that accuracy in service can be measured: a draw.

Its chances are known. Where events are answered as a whole, an event is drawn, by its id and the confidence of its
answer, and the frame that stands for it is sent; frames that belong to no event are drawn by themselves.

The chance depends on the confidence alone, in bands. Of bands with the same number of frames, one in which the models
differ more often tells more: with chances in proportion to the square root of the rate at which they differ, the
estimate of that rate has the least variance for a given number of audits (Neyman, J. R. Stat. Soc. 97, 1934, section
III; for a 0 or 1 that is rarely 1, the rate is its variance). The rates are those of calibration (`Policy.agreement`,
of events `EventRule.agreement`), or else what the confidences say. No band gets less than a quarter or more than four
times the share that is asked for: the rates may be wrong in service, which is what audits are to find out.

A frame is drawn where a keyed hash of its id, read as a number in [0, 1), is below its chance. So the draw needs no
state: it is the same after a restart, for a frame that is given twice, and in whatever order threads come. An auditor
who has the key can repeat it. The key is made at random for each state folder and stays there, so whoever makes frames
cannot choose ids that are never, or always, drawn.

Frames of one visit that are answered by themselves look alike, so a second audit in it would tell little, and would
seem to tell much. Once a frame of a visit is drawn, those that follow in it are neither drawn nor counted among the
frames that could be. So it is with a stretch of frames in no event, such as those from which the gate learns a scene.
"""

from __future__ import annotations

import logging
import secrets
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.camera.files import camera_of
from edge_sdk.durable.files import write_whole
from edge_sdk.model.policy import Decision, ExitPolicy, Policy
from edge_sdk.types import Frame, Prediction, Reason

Floats = NDArray[np.float64]

_log = logging.getLogger(__name__)

WORTH = 1.0
"""The gain at which an audited frame waits. It leaves among the first: one that is dropped measures nothing."""
FILE = "audit.key"

_KEY_BYTES = 32
_LEAST, _MOST = 0.25, 4.0
_BANDS = 4
_VISITS = 256  # that are remembered: more than there are cameras


@dataclass(frozen=True, slots=True)
class Draw:
    """Whether a frame, or an event, is audited.

    Attributes:
        chance: with which it was to be drawn, in [0, 1].
        drawn: it was.
    """

    chance: float
    drawn: bool


class AuditDraw:
    """Draws frames, or whole events, by id and confidence. Thread-safe.

    Args:
        policy: the bundle's; of events, as `event_policy` gives it.
        share: of the confident frames that is to be drawn, in [0, 1].
        key: 32 bytes, secret (`audit_key`).
    """

    def __init__(self, policy: Policy, share: float, key: bytes) -> None:
        self._chances = {near: _BandChances.of(policy.of_look(near), share) for near in (False, True)}
        self._key = key
        self._audited: deque[str] = deque(maxlen=_VISITS)

    @property
    def chances(self) -> tuple[float, ...]:
        """Of frames seen whole, by band, that of the lowest confidences first."""
        return self._chances[False].chances

    def chance(self, confidence: float, *, near: bool = False) -> float:
        """With which a confident frame or event is drawn; `near`: a region of it was looked at."""
        return self._chances[near].chance(confidence)

    def draw(self, unit_id: str, confidence: float, visit: str = "", *, near: bool = False) -> Draw | None:
        """Draw one frame or event that is confident and may leave the device.

        Args:
            unit_id: the frame's or the event's.
            confidence: of its answer, in [0, 1].
            visit: id of the event, or the stretch, that a frame belongs to; "": of an event.
            near: a region of the frame was looked at.

        Returns:
            None where a frame of the visit was drawn before.
        """
        if visit and visit in self._audited:
            return None
        chance = self.chance(confidence, near=near)
        number = int.from_bytes(blake2b(unit_id.encode(), key=self._key, digest_size=8).digest(), "big")
        drawn = number < chance * 2.0**64
        if drawn and visit:
            self._audited.append(visit)
        return Draw(chance, drawn)


@dataclass(frozen=True, slots=True)
class _BandChances:
    """Chances by bands of confidence."""

    edges: tuple[float, ...]
    chances: tuple[float, ...]

    @classmethod
    def of(cls, policy: Policy, share: float) -> _BandChances:
        edges, frames, rates = _bands(policy)
        return cls(edges, _chances(share, frames / frames.sum(), np.sqrt(rates)))

    def chance(self, confidence: float) -> float:
        return self.chances[bisect_right(self.edges, confidence)]


class Stretches:
    """Tells frames in no event apart that do not look alike: those of one camera are of one stretch without a gap.

    Args:
        gap_s: seconds without such a frame that end a stretch.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap = timedelta(seconds=gap_s)
        self._latest: dict[str, tuple[str, datetime]] = {}

    def of(self, frame: Frame) -> str:
        """The stretch of a frame: the id of its first one."""
        camera, at = camera_of(frame.source), frame.captured_at
        first, last = self._latest.pop(camera, (frame.frame_id, at))
        if abs(at - last) > self._gap:
            first = frame.frame_id
        self._latest[camera] = first, at
        if len(self._latest) > _VISITS:
            del self._latest[next(iter(self._latest))]
        return first


def drawn_of(
    audits: AuditDraw | None,
    exits: ExitPolicy,
    decision: Decision,
    unit_id: str,
    said: Prediction,
    *shown: Prediction,
    visit: str = "",
    near: bool = False,
) -> Draw | None:
    """The draw of a frame or event that was decided; None: it is not confident, or no audits were asked for.

    Args:
        audits: the draw; None: no audits were asked for.
        exits: the rule that has decided, which knows private classes.
        decision: what it has decided.
        unit_id: the frame's id, or the event's.
        said: what it was decided on.
        shown: what is said of the frame that would travel for an event.
        visit: as of `AuditDraw.draw`.
        near: as of `AuditDraw.draw`.
    """
    if audits is None or decision.reason is not Reason.CONFIDENT:
        return None
    if any(map(exits.is_private, (said, *shown))):
        return Draw(0.0, False)
    return audits.draw(unit_id, said.confidence, visit, near=near)


def audit_key(state: Path) -> bytes:
    """The key of a state folder, made at its first use.

    Where it cannot be kept, a key of this run alone is used: its draws are as good, and cannot be repeated later.
    """
    path = state / FILE
    try:
        if len(key := path.read_bytes()) == _KEY_BYTES:
            return key
        _log.warning("%s: expected %d bytes; got %d: a new key is made", path, _KEY_BYTES, len(key))
    except FileNotFoundError:
        pass
    except OSError as error:
        _log.warning("%s cannot be read (%s): a new key is made", path, error)
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        write_whole(path, key, durable=True, mode=0o600)
    except OSError as error:
        _log.warning("%s cannot be written (%s): the draw cannot be repeated after this run", path, error)
    return key


def _bands(policy: Policy) -> tuple[tuple[float, ...], Floats, Floats]:
    """Confidences between bands; of each band, at calibration, its frames and how often the models differ there."""
    if (known := policy.agreement) is not None:
        exits = np.array(known.exits, np.float64)
        return known.edges, exits, (np.array(known.differ) + 1) / (exits + 2)
    if (usual := policy.confidences) is not None and (kept := [e for e in usual.edges if e > policy.threshold]):
        step = max(1, round(len(kept) / _BANDS))
        edges = tuple(kept[step - 1 : -1 : step][: _BANDS - 1])
        frames = np.zeros(len(edges) + 1)
        np.add.at(frames, np.searchsorted(edges, [*kept, 1.0], side="left"), usual.counts[-len(kept) - 1 :])
        ends = np.array([policy.threshold, *edges, 1.0])
        return edges, frames, np.maximum(1e-3, 1 - (ends[:-1] + ends[1:]) / 2)
    return (), np.ones(1), np.ones(1)


def _chances(share: float, frames: Floats, roots: Floats) -> tuple[float, ...]:
    """Chances in proportion to `roots`, within their limits, such that the mean over `frames` is `share`."""

    def limited(scale: float) -> Floats:
        return np.clip(scale * roots, _LEAST * share, min(1.0, _MOST * share))

    low, high = 0.0, _MOST / float(roots.min())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if frames @ limited(middle) < share else (low, middle)
    return tuple(float(f"{chance:.6g}") for chance in limited(high))
