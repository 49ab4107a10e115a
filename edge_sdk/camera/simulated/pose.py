"""What a subject does at one instant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pose:
    """What a subject does at one instant.

    Attributes:
        action: `walk`, `run`, `stand`, `feed` (graze, root, peck), `alert` or `fly`.
        phase: position in the gait cycle, [0, 1).
        sway: slow variation in [-1, 1] (head and tail).
        look: turn of the head to the side in radians.
    """

    action: str
    phase: float
    sway: float = 0.0
    look: float = 0.0
