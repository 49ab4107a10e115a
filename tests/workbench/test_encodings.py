"""Encodings to try, and their cost."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.encodings import encoding_ms, grid

SPEC = InputSpec(64, 48, (0.5,) * 3, (0.5,) * 3)
USUAL = Upload(64, 95)


def test_a_model_that_crops_is_tried_with_the_cut_picture_too() -> None:
    whole = grid(SPEC, USUAL, qualities=(50,), formats=("jpeg",))
    assert [upload.max_side for upload in whole] == [32, 48, 64, 96, 64]
    cut = grid(InputSpec(224, 224, (0.5,) * 3, (0.5,) * 3, "crop"), Upload(), sides=(100,), qualities=(50, 60))
    assert len(cut) == 2 * 2 * 2 + 1 and {upload.crop for upload in cut} == {None, (1, 1)}
    assert len(grid(SPEC, Upload(64, 50), sides=(64, 64), qualities=(50,), formats=("jpeg",))) == 1
    with pytest.raises(WorkbenchError, match="expected sides to try"):
        grid(None, USUAL)


def test_encoding_is_timed() -> None:
    uploads = (Upload(16, 50), Upload(640, 90, "webp"))
    small, large = encoding_ms([np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)], uploads)
    assert small > 0 and large > 0
