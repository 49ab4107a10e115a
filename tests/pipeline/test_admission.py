"""Which frames are kept for the cloud, at which encoding, and when they may leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget
from edge_sdk.config import PowerModel
from edge_sdk.images.read import decode_image
from edge_sdk.images.rendition import Rendition, Upload
from edge_sdk.model.policy import Policy, Preferences
from edge_sdk.pipeline.admission import Admission
from edge_sdk.pipeline.blur import Blur
from edge_sdk.types import Frame, Image, Prediction, Region, View

SAID = Prediction(("a", "b"), np.array([0.5, 0.5], np.float32))


def frame(seed: int) -> Frame:
    return Frame(np.random.default_rng(seed).integers(0, 255, (240, 320, 3), np.uint8))


def admission(ledger: Ledger, policy: Policy | None = None, reserve: float = 0.5) -> Admission:
    return Admission(policy or Policy(), ledger, Preferences(min_worth=reserve), PowerModel(0.0))


def test_without_a_budget_every_frame_is_kept_and_may_leave(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        desk = admission(ledger)
        item = desk.offer(frame(0), SAID, 0.0)
        assert item is not None and desk.may_leave(item)


def test_frames_below_the_price_wait_and_those_far_below_exit(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(400_000, 86_400)]) as ledger:
        desk = admission(ledger)
        for seed in range(60):
            desk.offer(frame(seed), SAID, 0.9 if seed % 2 else 0.5)
        best, middle = desk.offer(frame(1), SAID, 0.95), desk.offer(frame(2), SAID, 0.6)
        assert best is not None and desk.may_leave(best)
        assert middle is not None and not desk.may_leave(middle)
        assert desk.offer(frame(3), SAID, 0.1) is None


@pytest.mark.parametrize(
    ("send", "region", "crop", "size"),
    [
        (View.FRAME, Region(100, 80, 60, 60, 1.0), None, (320, 240)),
        (View.REGION, Region(100, 80, 60, 60, 1.0), None, (160, 120)),
        (View.REGION, Region(100, 80, 60, 60, 1.0), (1, 1), (120, 120)),
        (View.REGION, None, None, (320, 240)),
    ],
)
def test_the_region_travels_where_that_is_wanted_and_is_known(
    tmp_path: Path, send: View, region: Region | None, crop: tuple[int, int] | None, size: tuple[int, int]
) -> None:
    shown = replace(frame(0), regions=() if region is None else (region,))
    policy = Policy(upload=Upload(quality=100, crop=crop))
    with Ledger(tmp_path / "ledger.db") as ledger:
        desk = Admission(policy, ledger, Preferences(), PowerModel(0.0), send)
        item = desk.offer(shown, SAID, 0.5)
        assert item is not None
        sent = decode_image(item.image).image
        whole = decode_image(desk.encode(shown, SAID).image).image
    assert (sent.shape[1], sent.shape[0]) == size
    assert whole.shape[0] == 240  # the archive keeps the frame
    if send is View.REGION and region is not None:
        assert is_part_of(sent, shown.image)


SUBJECT = (100, 84, 60, 48)  # left, top, width, height of a white box on black


@pytest.mark.parametrize("send", [View.FRAME, View.REGION])
@pytest.mark.parametrize("crop", [None, (1, 1), (3, 1)])
@pytest.mark.parametrize("side", [80, 640])
def test_the_box_that_travels_is_right_in_the_picture_that_travels(
    tmp_path: Path, send: View, crop: tuple[int, int] | None, side: int
) -> None:
    x, y, width, height = SUBJECT
    image = np.zeros((240, 320, 3), np.uint8)
    image[y : y + height, x : x + width] = 255
    shown = Frame(image, regions=(Region(*SUBJECT, 0.75, held=True),))
    policy = Policy(upload=Upload(side, 100, crop=crop), send=send.value)
    with Ledger(tmp_path / "ledger.db") as ledger:
        item = Admission(policy, ledger, Preferences(), PowerModel(0.0)).offer(shown, SAID, 0.5)
    assert item is not None and item.region is not None
    assert (item.region.score, item.region.held) == (0.75, True)
    white = decode_image(item.image).image.min(axis=2) > 127
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    found = item.region
    assert abs(found.x - columns[0]) <= 1 and abs(found.x + found.width - columns[-1] - 1) <= 1
    assert abs(found.y - rows[0]) <= 1 and abs(found.y + found.height - rows[-1] - 1) <= 1


def test_nothing_is_said_of_where_something_moved_where_that_is_not_known_or_does_not_travel(tmp_path: Path) -> None:
    policy = Policy(upload=Upload(crop=(1, 4)))  # the middle 60 columns
    with Ledger(tmp_path / "ledger.db") as ledger:
        desk = admission(ledger, policy)
        for regions in ((), (Region(0, 0, 100, 100, 1.0),), (Region(0, 0, 320, 240, 1.0),)):
            item = desk.offer(replace(frame(0), regions=regions), SAID, 0.5)
            assert item is not None and item.region is None
        kept = desk.encode(replace(frame(0), regions=(Region(150, 10, 20, 30, 1.0),)), SAID)
    assert kept.region == Region(20, 10, 20, 30, 1.0)


def test_a_region_travels_as_its_own_rendition_and_a_given_choice_wins_over_the_policys(tmp_path: Path) -> None:
    shown = replace(frame(0), regions=(Region(100, 80, 90, 60, 1.0),))
    ladder = (Rendition(Upload(32, 60), 1_000, 0.5), Rendition(Upload(48, 90), 2_000, 1.0))
    policy = Policy(send="region", upload=Upload(320), region_upload=Upload(64), ladder=ladder)

    def travels(shown: Frame, send: View | None = None, policy: Policy = policy) -> tuple[int, float]:
        item = Admission(policy, ledger, Preferences(), PowerModel(0.0), send).offer(shown, SAID, 0.5)
        assert item is not None
        return decode_image(item.image).image.shape[1], item.gain

    with Ledger(tmp_path / "ledger.db") as ledger:
        assert travels(shown) == (64, 0.5)
        assert travels(replace(shown, regions=())) == (48, 0.5)  # a whole frame: the ladder, as without the field
        assert travels(shown, View.FRAME) == (48, 0.5)
        assert travels(shown, policy=msgspec.structs.replace(policy, region_upload=None)) == (48, 0.5)
        plain = Policy(send="frame", upload=Upload(300), region_upload=Upload(64))
        assert travels(shown, policy=plain) == (300, 0.5)
        assert travels(shown, View.REGION, plain) == (64, 0.5)


def is_part_of(sent: Image, image: Image) -> bool:
    """Whether a picture is a part of another, up to what JPEG changes."""
    found = cv2.matchTemplate(image, sent, cv2.TM_CCOEFF_NORMED)
    return bool(found.max() > 0.5)


def test_a_frame_travels_at_the_rung_that_is_worth_most(tmp_path: Path) -> None:
    small, large = Upload(64, 60), Upload(320, 90)
    ladder = (Rendition(small, 2_000, 0.7), Rendition(large, 60_000, 1.0))
    policy = Policy(upload=large, ladder=ladder)
    with Ledger(tmp_path / "free.db") as ledger:
        item = admission(ledger, policy).offer(frame(0), SAID, 0.5)
        assert item is not None and len(item.image) > 20_000
        assert item.gain == pytest.approx(0.5)
    with Ledger(tmp_path / "tight.db", budgets=[Budget(100_000, 86_400)]) as ledger:
        desk = admission(ledger, policy, reserve=0.0)
        for seed in range(50):
            item = desk.offer(frame(seed), SAID, 0.5)
        assert item is not None and len(item.image) < 10_000
        assert item.gain == pytest.approx(0.35)


def test_a_close_up_is_kept_beside_the_frame_from_its_full_picture(tmp_path: Path) -> None:
    shown = replace(frame(0), regions=(Region(100, 80, 60, 60, 1.0),))
    policy = Policy(upload=Upload(max_side=160, quality=100))
    with Ledger(tmp_path / "ledger.db") as ledger:
        desk = Admission(policy, ledger, Preferences(), PowerModel(0.0), crop=True)
        for item in (desk.offer(shown, SAID, 0.5), desk.encode(shown, SAID)):
            assert item is not None
            whole, crop = decode_image(item.image).image, decode_image(item.crop).image
            assert whole.shape[:2] == (120, 160) and crop.shape[:2] == (120, 160)
            assert is_part_of(crop, shown.image)
        assert desk.encode(frame(1), SAID).crop == b""
        desk.renew(Preferences(), crop=False)
        assert desk.encode(shown, SAID).crop == b""


def test_all_that_is_encoded_is_blurred_first(tmp_path: Path) -> None:
    shown = replace(frame(0), regions=(Region(100, 80, 60, 60, 1.0),))
    with Ledger(tmp_path / "ledger.db") as ledger:
        for send in (View.FRAME, View.REGION):
            blur = Blur(("a",), above=0.5)
            desk = Admission(
                Policy(upload=Upload(quality=100)), ledger, Preferences(), PowerModel(0.0), send, blur, crop=True
            )
            for item in (desk.offer(shown, SAID, 0.5), desk.encode(shown, SAID)):
                assert item is not None
                for content in (item.image, item.crop):
                    image = decode_image(content).image
                    part = image if image.shape[0] != 240 else image[80:140, 100:160]
                    height, width = part.shape[:2]
                    middle = part[height // 4 : -height // 4, width // 4 : -width // 4].astype(float)
                    assert np.abs(np.diff(middle, axis=1)).mean() < 12
        assert np.abs(np.diff(shown.image.astype(float), axis=1)).mean() > 60
