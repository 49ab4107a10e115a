"""No pixel that is to be blurred reaches the disk, the wire or the server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from cloud_server.local import start_local_server
from edge_sdk import Blur, EdgeClassifier, Frame, Region, StorageSettings, open_bundle
from edge_sdk.images.read import decode_image
from edge_sdk.types import Image

LABELS = open_bundle("trailcam").manifest.labels
ALL = Blur(LABELS, above=0.5)  # every frame shows one of these
FACE = Region(200, 120, 240, 240, 1.0)
BEGIN = datetime(2026, 11, 26, 8, tzinfo=UTC)


def frames() -> Iterator[Frame]:
    """Grey pictures with a fine pattern where something moved, and stripes elsewhere."""
    for number in range(4):
        image = np.full((480, 640, 3), 90 + number, np.uint8)
        image[:, ::32] = 200
        image[FACE.y : FACE.y + FACE.height, FACE.x : FACE.x + FACE.width] = _pattern()
        yield Frame(image, BEGIN + timedelta(minutes=number), "cam", regions=(FACE,))


def _pattern() -> Image:
    """Blocks of 8 pixels, dark or bright by chance."""
    blocks = np.random.default_rng(7).integers(0, 2, (30, 30), np.uint8) * 255
    return np.repeat(cv2.resize(blocks, (240, 240), interpolation=cv2.INTER_NEAREST)[:, :, None], 3, axis=2)


def pictures_in(folder: Path) -> list[Image]:
    """Every JPEG that stands anywhere in a file below a folder, in whatever the file is otherwise."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        parts = content.split(b"\xff\xd8\xff")
        found += [decode_image(b"\xff\xd8\xff" + part).image for part in parts[1:]]
    return found


def shows_pattern(image: Image) -> bool:
    """Whether the pattern is somewhere in a picture, at some size."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    for share in (1.0, 0.75, 0.5, 0.4, 0.375, 0.25):
        wanted = cv2.resize(_pattern()[:, :, 0], None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        part = wanted[: grey.shape[0], : grey.shape[1]]
        if cv2.matchTemplate(grey, part, cv2.TM_CCOEFF_NORMED).max() > 0.5:
            return True
    return False


@pytest.mark.parametrize("send", ["frame", "region"])
@pytest.mark.parametrize("blur", [None, ALL])
def test_every_picture_that_is_written_or_sent(tmp_path: Path, blur: Blur | None, send: str) -> None:
    state, kept = tmp_path / "state", tmp_path / "kept"
    storage = StorageSettings(archive="100MB, crop: yes")
    everything: list[Image] = []
    common = {"state_dir": state, "storage": storage, "blur": blur, "send": send}
    first, second, third, fourth = frames()
    with EdgeClassifier("trailcam", threshold=0.0, **common) as edge:  # type: ignore[arg-type]
        assert edge.classify(first).final
    everything += pictures_in(state)
    with EdgeClassifier("trailcam", threshold=1.01, **common) as edge:  # type: ignore[arg-type]
        assert not edge.classify(second).final and edge.waiting == 1
        everything += pictures_in(state)
    options = ["--device", "cpu", "--threads", "1", "--keep", str(kept)]
    with (
        start_local_server("trailcam", *options) as address,
        EdgeClassifier("trailcam", cloud=address, threshold=1.01, **common) as edge,  # type: ignore[arg-type]
    ):
        edge.classify(third)
        edge.classify(fourth)
        assert len(list(edge.late_answers(wait_s=60))) == 3
    everything += pictures_in(state)
    sent = pictures_in(kept)
    assert len(sent) == 3 and len(list((state / "archive").iterdir())) == 4
    shown = [shows_pattern(image) for image in (*everything, *sent)]
    assert len(shown) >= 3 + 2 * 4  # a picture and its close-up for each
    assert all(shown) if blur is None else not any(shown)
    if blur is not None and send == "frame":  # the rest of the frame is as it was
        assert all(np.ptp(image[10:60].mean(axis=(0, 2))) > 50 for image in sent)
