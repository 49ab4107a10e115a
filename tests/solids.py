"""Measurements of the simulated camera's subjects."""

from __future__ import annotations

import numpy as np

from edge_sdk.camera.simulated.shape import Panel, Solid


def points_of(solid: Solid) -> np.ndarray:
    """`float64 (N, 3)`, metres: the corners of all panels and the centre lines of all tubes."""
    points = [part.points if isinstance(part, Panel) else part.centre for part in solid.parts]
    return np.concatenate([np.asarray(one).reshape(-1, 3) for one in points])


def extent_m(solid: Solid) -> np.ndarray:
    """Length, height and width of a subject, metres."""
    points = points_of(solid)
    extent: np.ndarray = points.max(axis=0) - points.min(axis=0)
    return extent


def same(one: Solid, other: Solid) -> bool:
    """Whether two subjects have the same parts at the same places."""
    return len(one.parts) == len(other.parts) and np.array_equal(points_of(one), points_of(other))
