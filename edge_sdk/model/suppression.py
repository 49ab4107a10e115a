"""Of candidates that box one subject, the one with the highest score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float, most: int) -> NDArray[np.intp]:
    """Greedy non-maximum suppression (Girshick et al., "Rich feature hierarchies", CVPR 2014, section 2.2).

    The candidate of the highest score is kept, those that overlap it by more than `overlap` go, and so on. Of equal
    scores the first comes first.

    Args:
        boxes: `float32 (N, 4)`: left, top, right, bottom, with left < right and top < bottom.
        scores: `float32 (N,)`, none of them NaN.
        overlap: intersection over union, in [0, 1].
        most: how many are kept at most.

    Returns:
        indices of those that are kept, by falling score.
    """
    order = np.argsort(-scores, kind="stable")
    wide = boxes.astype(np.float64)
    areas = (wide[:, 2] - wide[:, 0]) * (wide[:, 3] - wide[:, 1])
    kept: list[int] = []
    while order.size and len(kept) < most:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        corner, far = np.maximum(wide[first, :2], wide[rest, :2]), np.minimum(wide[first, 2:], wide[rest, 2:])
        common = np.clip(far - corner, 0, None).prod(axis=1)
        order = rest[common <= overlap * (areas[first] + areas[rest] - common)]
    return np.array(kept, np.intp)
