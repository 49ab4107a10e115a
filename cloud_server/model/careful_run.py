"""One run of the model on the frames of a batch, such that a bad frame fails alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from cloud_server.model.ticket import Answered, Little, Looks, ModelFailed, Ran, Run

_log = logging.getLogger(__name__)


def run_carefully(
    run: Run, frames: Sequence[tuple[Looks, Little]], *, is_suspect: bool = False
) -> Sequence[Answered | ModelFailed]:
    """One result for each frame. When a batch fails, its frames are tried one by one.

    Args:
        run: the model.
        frames: the looks and the little model's probabilities of each.
        is_suspect: the model has failed on the frames before: a further failure is not told in full.
    """
    inputs = [image for looks, _ in frames for image in looks]
    try:
        ran = Ran(*run(inputs, [little for looks, little in frames for _ in looks]))
        if any(len(part) != len(inputs) for part in ran if part is not None):
            raise ValueError(f"expected {len(inputs)} rows from the model; got {len(ran.rows)}")
    except Exception as error:
        why = type(error).__name__
        if len(frames) > 1:
            _log.warning("a batch of %d failed (%s: %.300r); its frames are tried one by one", len(frames), why, error)
            return [result for frame in frames for result in run_carefully(run, [frame], is_suspect=is_suspect)]
        # A model that has died fails thousands of frames: the first of them is told in full.
        _log.log(logging.DEBUG if is_suspect else logging.ERROR, "the model failed on a frame", exc_info=True)
        return [ModelFailed(f"the model failed on this frame ({why})")]
    finite = np.all(np.isfinite(ran.rows).reshape(len(inputs), -1), axis=1)
    macs = ran.macs.tolist()
    found: list[Answered | ModelFailed] = []
    end = 0
    for looks, _ in frames:
        begin, end = end, end + len(looks)
        if not all(finite[begin:end]):
            found.append(ModelFailed("the model's output for this frame is not finite"))
            continue
        row = ran.rows[begin] if len(looks) == 1 else ran.rows[begin:end].mean(axis=0, dtype=np.float32)
        left_at = None if ran.exits is None else int(ran.exits[begin:end].max())
        found.append(Answered(row, sum(macs[begin:end]), left_at))
    return found
