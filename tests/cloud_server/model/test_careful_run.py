from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gated_model import NAN, POISON, GatedModel
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.careful_run import run_carefully
from cloud_server.model.ticket import Answered, Little, Looks, ModelFailed, Ran
from edge_sdk.types import Image


def looks(*levels: int) -> tuple[Looks, None]:
    return tuple(np.full((8, 8, 3), level, np.uint8) for level in levels), None


def test_bad_frames_fail_alone_and_looks_are_averaged() -> None:
    results = run_carefully(GatedModel().run, [looks(1), looks(POISON), looks(NAN), looks(0, 1)])
    assert [type(result) for result in results] == [Answered, ModelFailed, ModelFailed, Answered]
    assert isinstance(results[3], Answered)
    assert (results[3].probabilities.tolist(), results[3].macs) == ([0.5, 0.5, 0.0], 2000)


class Exiting(GatedModel):
    """A picture of level L leaves at exit `L % 4`."""

    def run(self, images: Sequence[Image], little: Sequence[Little] = ()) -> Ran:  # type: ignore[override]
        rows, macs = super().run(images, little)
        return Ran(rows, macs, np.array([int(image[0, 0, 0]) % 4 for image in images]))


@given(st.lists(st.lists(st.integers(0, 40) | st.just(POISON), min_size=1, max_size=2), min_size=1, max_size=8))
def test_a_frame_leaves_where_the_last_of_its_looks_does(levels: list[list[int]]) -> None:
    results = run_carefully(Exiting().run, [looks(*one) for one in levels], is_suspect=True)
    told = [result.exit if isinstance(result, Answered) else "failed" for result in results]
    assert told == ["failed" if POISON in one else max(level % 4 for level in one) for one in levels]


def test_a_model_without_exits_names_none() -> None:
    (result,) = run_carefully(GatedModel().run, [looks(1)])
    assert isinstance(result, Answered) and result.exit is None
