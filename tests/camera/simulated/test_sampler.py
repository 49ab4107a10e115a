"""Varied frames for training."""

from collections import Counter
from itertools import islice

from edge_sdk.camera.simulated import LABELS, contact_sheet, training_frames


def test_training_frames_hold_every_class_about_equally_often() -> None:
    labels = Counter(label for _, label in islice(training_frames(9, width=320, height=240), 140))
    assert tuple(sorted(labels)) == LABELS == tuple(sorted(LABELS))
    assert min(labels.values()) >= 14


def test_contact_sheet_has_a_tile_per_place() -> None:
    assert contact_sheet(2, 7, seed=1, tile=(80, 60)).shape == (120, 560, 3)
