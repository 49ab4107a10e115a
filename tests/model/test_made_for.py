"""Whether a bundle was made for the camera whose frames it gets."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk.model.bundle import Manifest, open_bundle
from edge_sdk.model.made_for import PHOTOS, doubt, made_for, made_for_text
from edge_sdk.pipeline.classifier import EdgeClassifier
from edge_sdk.types import Frame


def manifest(value: str) -> Manifest:
    return msgspec.structs.replace(open_bundle("trailcam").manifest, made_for=value)


@pytest.mark.parametrize(
    ("addresses", "value"),
    [
        (("photos/", ""), PHOTOS),
        (("simulated://trailcam?seed=3&frames=600", ""), "simulated://trailcam"),
        (("photos/", "simulated://trailcam?seed=0"), "simulated://trailcam"),  # calibrated on photos, trained on none
        (("", ""), ""),
    ],
)
def test_the_pictures_say_what_a_bundle_is_made_for(addresses: tuple[str, ...], value: str) -> None:
    assert made_for(*addresses) == value


@pytest.mark.parametrize(
    ("value", "source", "told"),
    [
        ("simulated://trailcam", "simulated://trailcam?seed=1", ""),
        ("simulated://trailcam", "/card/DCIM/1.jpg", "was made for the simulated camera"),
        ("simulated://trailcam", "rtsp://camera/1", "was made for the simulated camera"),
        ("simulated://trailcam", "", ""),  # an array: nobody knows
        (PHOTOS, "simulated://trailcam?seed=1", "was made for real cameras"),
        (PHOTOS, "picamera2", ""),
        ("", "picamera2", ""),
    ],
)
def test_doubt(value: str, source: str, told: str) -> None:
    text = doubt(manifest(value), source)
    assert (told in text) if told else text == ""


def test_in_words() -> None:
    assert "simulated camera" in made_for_text(open_bundle("trailcam").manifest)
    assert [made_for_text(manifest(value)) for value in (PHOTOS, "", "thermal cameras")] == [
        "real cameras",
        "not known",
        "thermal cameras",
    ]


def test_the_device_says_it_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = np.full((60, 80, 3), 90, np.uint8)
    with caplog.at_level(logging.WARNING), EdgeClassifier("trailcam", state_dir=tmp_path) as edge:
        edge.classify(image)
        assert "was made for" not in caplog.text
        for number in range(3):
            edge.classify(Frame(image, source=f"/card/{number}.jpg"))
    assert caplog.text.count("was made for the simulated camera") == 1
