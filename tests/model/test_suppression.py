"""Non-maximum suppression against its definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.model.suppression import suppress

Box = tuple[float, float, float, float]


def overlap_of(one: Box, two: Box) -> float:
    """Intersection over union."""
    across = min(one[2], two[2]) - max(one[0], two[0])
    down = min(one[3], two[3]) - max(one[1], two[1])
    common = max(0.0, across) * max(0.0, down)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return common / (sum(areas) - common)


def by_definition(boxes: list[Box], scores: list[float], overlap: float, most: int) -> list[int]:
    """A candidate is kept unless one that is kept, and stands before it, overlaps it by more."""
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda index: (-scores[index], index)):
        if len(kept) < most and all(overlap_of(boxes[index], boxes[other]) <= overlap for other in kept):
            kept.append(index)
    return kept


@st.composite
def candidates(draw: st.DrawFn) -> tuple[list[Box], list[float]]:
    count = draw(st.integers(0, 12))
    corner, side, score = st.integers(0, 12), st.integers(1, 8), st.integers(0, 6)
    boxes, scores = [], []
    for _ in range(count):
        x, y = draw(corner), draw(corner)
        boxes.append((float(x), float(y), float(x + draw(side)), float(y + draw(side))))
        scores.append(draw(score) / 8)
    return boxes, scores


@given(candidates(), st.integers(0, 8), st.integers(0, 6))
def test_it_keeps_what_its_definition_keeps(found: tuple[list[Box], list[float]], eighths: int, most: int) -> None:
    boxes, scores = found
    # A bound that no ratio of such small whole numbers equals, so that rounding decides nothing.
    overlap = min(1.0, eighths / 8 + 1e-4)
    kept = suppress(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), overlap, most)
    assert kept.tolist() == by_definition(boxes, scores, overlap, most)


def test_two_boxes_of_one_subject_are_one_and_neighbours_are_two() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [10, 0, 20, 10]], np.float32)
    assert suppress(boxes, np.array([0.5, 0.9, 0.7], np.float32), 0.5, 4).tolist() == [1, 2]
