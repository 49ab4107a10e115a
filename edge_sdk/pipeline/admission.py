"""Which unsure frames wait for the cloud, at which encoding, and which of them may leave now."""

from __future__ import annotations

import msgspec
import numpy as np

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Resource
from edge_sdk.budget.shadow_price import Prices
from edge_sdk.config import PowerModel
from edge_sdk.images.close_up import CloseUp, close_up
from edge_sdk.images.encode import encode, fit_size
from edge_sdk.images.rendition import Upload, choose_rendition
from edge_sdk.model.policy import Policy, Preferences
from edge_sdk.pipeline.blur import Blur
from edge_sdk.store.frames import SpoolItem
from edge_sdk.types import Frame, Prediction, View
from edge_sdk.wire.cost import frame_bytes


class Admission:
    """Weighs what a frame would bring against what it would cost, at today's prices of the budgets. Thread-safe.

    Args:
        policy: the bundle's, with its encodings.
        ledger: the budgets, and what the big model costs.
        wants: how the first period begins, and what is not admitted (`min_worth`).
        power: what a byte costs in energy.
        send: what of a frame with a region travels: the frame, or the region's surroundings; None: what the policy
            says.
        blur: what is blurred on every picture that is stored or sent; None: nothing.
        crop: keep the region's surroundings beside the picture, from the full frame.
    """

    def __init__(
        self,
        policy: Policy,
        ledger: Ledger,
        wants: Preferences,
        power: PowerModel,
        send: View | None = None,
        blur: Blur | None = None,
        *,
        crop: bool = False,
    ) -> None:
        self._policy = policy
        self._send = View(policy.send) if send is None else send
        self._blur, self._crop = blur, crop
        self._ledger = ledger
        self._microjoules_per_byte = power.joules_per_byte * 1e6
        self._min_worth = wants.min_worth
        self._prices = Prices(ledger, wants.initial_credit)

    def renew(self, wants: Preferences, *, crop: bool) -> None:
        """Take over new preferences, the ledger's new budgets, and whether close-ups are kept."""
        self._crop = crop
        self._min_worth = wants.min_worth
        self._prices.renew(wants.initial_credit)

    def offer(self, frame: Frame, prediction: Prediction, gain: float) -> SpoolItem | None:
        """A frame, encoded for the spool, or None: it is not worth its place.

        With a ladder of encodings, the frame travels as the rendition that is worth most at today's price of a byte. A
        region travels as the policy's `region_upload`, where it has one: the ladder was measured on whole frames.

        Args:
            frame: the frame.
            prediction: the little model's.
            gain: what a second opinion would bring.

        Raises:
            ImageError: the picture cannot be encoded.
        """
        item, _ = self.draft(frame, prediction, gain)
        return item if self.admits(item) else None

    def draft(self, frame: Frame, prediction: Prediction, gain: float) -> tuple[SpoolItem, float]:
        """A frame, encoded for the spool, and its relative gain: the part of `gain` that is left at its encoding.

        Raises:
            ImageError: the picture cannot be encoded.
        """
        near = self._send is View.REGION and frame.region is not None
        upload, relative_gain = self._policy.upload, 1.0
        if near and self._policy.region_upload is not None:
            upload = self._policy.region_upload
        elif ladder := self._policy.ladder:
            per_byte = self._prices.cost({Resource.UPLOAD: 1.0, Resource.ENERGY: self._microjoules_per_byte})
            rendition = ladder[choose_rendition(ladder, gain, per_byte) or 0]
            upload, relative_gain = rendition.upload, rendition.relative_gain
        item = self._item(frame, prediction, gain * relative_gain, upload, near=near)
        return item, relative_gain

    def admits(self, item: SpoolItem) -> bool:
        """Whether an encoded frame is worth its place, at today's prices; its demand is recorded."""
        return item.gain >= self._min_worth * self._prices.ask(item.gain, self._costs(item))

    def encode(self, frame: Frame, prediction: Prediction) -> SpoolItem:
        """A frame for the archive, at the encoding of the bundle's policy.

        Raises:
            ImageError: the picture cannot be encoded.
        """
        return self._item(frame, prediction, 0.0, self._policy.upload, near=False)

    def _item(self, frame: Frame, prediction: Prediction, gain: float, upload: Upload, *, near: bool) -> SpoolItem:
        """The one place where a frame's pixels become bytes that are written or sent."""
        if self._blur is not None:
            frame = self._blur.of(frame, prediction)
        part, region = _part(frame, upload, near), frame.region
        size = fit_size(part.width, part.height, upload.max_side)
        crop = b""
        if self._crop and region is not None:
            crop = encode(_part(frame, upload, near=True).of(frame.image), self._policy.upload)
        return SpoolItem(
            frame_id=frame.frame_id,
            image=encode(part.of(frame.image), msgspec.structs.replace(upload, crop=None)),  # it is cut already
            probabilities=np.asarray(prediction.probabilities, np.float32),
            gain=gain,
            captured_at=frame.captured_at,
            source=frame.source,
            region=None if region is None else part.locate(region, *size),
            crop=crop,
        )

    def may_leave(self, item: SpoolItem) -> bool:
        """Whether a frame that waits brings what it costs at today's prices."""
        return item.gain >= self._prices.cost(self._costs(item))

    def _costs(self, item: SpoolItem) -> dict[Resource, float]:
        # Few servers read probabilities.
        n_bytes = frame_bytes(len(item.image) + len(item.frame_id) + len(item.event) + 16)
        return {
            Resource.UPLOAD: n_bytes,
            Resource.FRAMES: 1,
            Resource.CLOUD: self._ledger.big_macs,
            Resource.ENERGY: n_bytes * self._microjoules_per_byte,
        }


def _part(frame: Frame, upload: Upload, near: bool) -> CloseUp:
    """What of a frame travels: all that `upload` cuts out of it, or, with `near`, its region at these proportions."""
    height, width = frame.image.shape[:2]
    if near and frame.region is not None:
        return close_up(frame.region, width, height, *(upload.crop or (width, height)))
    whole = CloseUp(0, 0, width, height)
    return whole if upload.crop is None else whole.centre(*upload.crop)
