from __future__ import annotations

import numpy as np
from gated_model import NAN, POISON, GatedModel

from cloud_server.model.careful_run import run_carefully
from cloud_server.model.ticket import Answered, Looks, ModelFailed


def looks(*levels: int) -> tuple[Looks, None]:
    return tuple(np.full((8, 8, 3), level, np.uint8) for level in levels), None


def test_bad_frames_fail_alone_and_looks_are_averaged() -> None:
    results = run_carefully(GatedModel().run, [looks(1), looks(POISON), looks(NAN), looks(0, 1)])
    assert [type(result) for result in results] == [Answered, ModelFailed, ModelFailed, Answered]
    assert isinstance(results[3], Answered)
    assert (results[3].probabilities.tolist(), results[3].macs) == ([0.5, 0.5, 0.0], 2000)
