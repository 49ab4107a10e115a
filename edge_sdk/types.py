"""The values that travel through the SDK. All are frozen; none does work.

Words: a *frame* is one picture; a *prediction* is what one model says of one frame; an *answer* is the word on a frame
that the application sees, first from the device, perhaps later and finally from the cloud.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageError
from edge_sdk.redaction import without_secrets

Image = NDArray[np.uint8]
"""One picture: `uint8`, shape `(H, W, 3)`, RGB order, C-contiguous."""

_FRAME_ID = re.compile(r"[0-9a-f]{32}")


def new_frame_id() -> str:
    """A fresh id, 32 hexadecimal digits (UUID version 7: sorted by creation time, safe to make on any device)."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (
        (milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (random >> 68 & 0xFFF) << 64
        | 0b10 << 62
        | random & (1 << 62) - 1
    )
    return f"{value:032x}"


def is_frame_id(text: str) -> bool:
    """Whether a text is an id of a frame, or of an event: 32 lower-case hexadecimal digits."""
    return _FRAME_ID.fullmatch(text) is not None


def check_image(image: object, order: str = "RGB") -> Image:
    """Return `image` C-contiguous, or raise `ImageError` that says what was expected and what came.

    Args:
        image: `uint8 (H, W, 3)`.
        order: of the channels, for the message.
    """
    return np.ascontiguousarray(check_pixels(image, order))


def check_pixels(image: object, order: str = "RGB") -> Image:
    """As `check_image`, for those who take any strides: `image` itself."""
    if not isinstance(image, np.ndarray):
        raise ImageError(f"expected a numpy array, uint8 (height, width, 3) {order}; got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"expected uint8 (height, width, 3) {order}; got {image.dtype} {image.shape}")
    return image


def from_bgr(image: object) -> Image:
    """An RGB copy of an array in OpenCV's channel order, `uint8 (H, W, 3)` BGR.

    Raises:
        ImageError: it is not such an array.
    """
    return np.ascontiguousarray(check_image(image, order="BGR")[:, :, ::-1])


MOST_REGIONS = 4
"""Regions of one frame at most: the first ones."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame that moved, or that a detector found: the box around one subject, in pixels of the full frame.

    Attributes:
        x: left edge.
        y: upper edge.
        width: at least 1.
        height: at least 1.
        score: share of the frame's moving area that is this subject's, in (0, 1]; of a detector, how sure it is.
        held: nothing moves now: it is where something moved a moment ago.
    """

    x: int
    y: int
    width: int
    height: int
    score: float
    held: bool = False


class View(StrEnum):
    """What of a frame a model looks at; a frame without a region is always seen whole."""

    FRAME = "frame"
    """The whole frame."""
    REGION = "region"
    """The surroundings of its first region."""
    BOTH = "both"
    """Both, one after the other: the mean of the two's probabilities, at twice the compute."""


@runtime_checkable
class Exposure(Protocol):
    """A picture that a camera has taken, and that is read out of it at its first use."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the full picture, pixels."""

    @property
    def small(self) -> NDArray[np.uint8]:
        """The same scene, small and grey, `uint8 (h, w)`."""

    def read(self) -> Image:
        """The full picture; later calls give the same."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """One picture with its capture time and source.

    Attributes:
        image: `uint8 (H, W, 3)` RGB.
        captured_at: when the shutter opened, with a time zone.
        source: where it came from: a file, a camera's address; a URL's user name, password and tokens are left out.
        frame_id: unique for ever, 32 hexadecimal digits; a frame that is sent twice is counted once by this id.
        truth: the true label, where the source knows it (the simulated camera, a folder of folders).
        still: it is a photo, not a picture of a video: the motion gate lets it through.
        note: a remark that the journal keeps, such as that the camera's clock was not set.
        regions: where something moved, the largest first, or what a detector found, the surest first; empty where
            nothing is known of it. `watch` fills in the gate's, which go before those that are given.
        measured: what the camera measured as it took the picture, by name, such as `exposure_s`, `gain` and `lux`.
        exposure: of a frame whose picture is read out when `image` is used for the first time (`Frame.taken`): what it
            is read from. None: the picture is there.

    Raises:
        ImageError: a value is not as described.
    """

    image: Image
    captured_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    source: str = ""
    frame_id: str = field(default_factory=new_frame_id)
    truth: str | None = None
    still: bool = False
    note: str = ""
    regions: tuple[Region, ...] = ()
    measured: Mapping[str, float] = field(default_factory=dict)
    exposure: Exposure | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if isinstance(self.image, np.ndarray) or not isinstance(self.image, Exposure):
            object.__setattr__(self, "image", check_image(self.image))
        else:
            object.__setattr__(self, "exposure", self.image)
            object.__delattr__(self, "image")
        if self.captured_at.tzinfo is None:
            raise ImageError(f"expected captured_at with a time zone; got the naive {self.captured_at.isoformat()}")
        if isinstance(self.source, str) and "://" in self.source:
            object.__setattr__(self, "source", without_secrets(self.source))
        if not is_frame_id(self.frame_id):
            raise ImageError(f"expected frame_id as 32 lower-case hexadecimal digits; got {self.frame_id!r}")

    if not TYPE_CHECKING:  # for type checkers `image` is a plain attribute, and a name that is none stays an error

        def __getattr__(self, name: str) -> Any:
            if name != "image":
                raise AttributeError(f"'Frame' object has no attribute {name!r}")
            image = check_image(self.exposure.read())
            object.__setattr__(self, "image", image)
            return image

    @classmethod
    def taken(
        cls, exposure: Exposure, captured_at: datetime, source: str = "", measured: Mapping[str, float] | None = None
    ) -> Self:
        """A frame whose picture stays in the camera until `image` is used; one that is not looked at costs no copy.

        Args:
            exposure: the picture.
            captured_at: as `Frame.captured_at`.
            source: as `Frame.source`.
            measured: as `Frame.measured`.

        Raises:
            ImageError: a value is not as described.
        """
        return cls(exposure, captured_at, source, measured=measured or {})  # type: ignore[arg-type]

    @classmethod
    def from_bgr(
        cls, image: object, captured_at: datetime | None = None, source: str = "", truth: str | None = None
    ) -> Self:
        """A frame of an array in OpenCV's channel order, as `cv2.imread` and `cv2.VideoCapture` give it.

        Args:
            image: `uint8 (H, W, 3)` BGR; it is copied.
            captured_at: as `Frame.captured_at`; None: now.
            source: as `Frame.source`.
            truth: as `Frame.truth`.

        Raises:
            ImageError: a value is not as described.
        """
        return cls(from_bgr(image), captured_at or datetime.now(UTC), source, truth=truth)

    @property
    def region(self) -> Region | None:
        """The largest of `regions`; None where there is none."""
        return self.regions[0] if self.regions else None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture, pixels."""
        if self.exposure is not None:
            return self.exposure.size
        return self.image.shape[1], self.image.shape[0]

    @property
    def view(self) -> NDArray[np.uint8]:
        """What motion is looked for in: the exposure's small grey picture, else `image`."""
        return self.image if self.exposure is None else self.exposure.small

    def __repr__(self) -> str:
        width, height = self.size
        truth = "" if self.truth is None else f", truth={self.truth!r}"
        return (
            f"Frame({width}x{height}, captured_at={self.captured_at.isoformat()}, source={self.source!r}, "
            f"frame_id={self.frame_id!r}{truth})"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What one model says of one frame.

    Attributes:
        labels: the model's C class names.
        probabilities: `float32 (C,)`, calibrated, summing to 1.
        energy: log of the sum of the exponentials of the logits, the mean over the looks; low where the frame is unlike
            those that the network learned from. None: not known.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float32]
    energy: float | None = None

    @property
    def top(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return self.labels[self.top]

    @property
    def confidence(self) -> float:
        """Probability of the most probable class, in [0, 1]."""
        return float(self.probabilities[self.top])


class Origin(StrEnum):
    """Which model gave an answer."""

    DEVICE = "device"
    CLOUD = "cloud"


class Reason(StrEnum):
    """Why an answer is as it is."""

    CONFIDENT = "confident"
    """The little model is sure: the frame exits."""
    GROUP = "sure of the group"
    """The little model is not sure of the class, but of a group above it, which the bundle's policy lets exit."""
    OUTSIDE = "unlike calibration"
    """The little model is sure, but the frame looks like none that it was calibrated on: it goes to the cloud, and this
    answer stands until the cloud's comes."""
    UNSURE = "unsure"
    """The little model is not sure: the frame goes to the cloud, and this answer stands until the cloud's comes."""
    AUDIT = "audit"
    """The little model is sure, and the frame (of an event, the one that stands for it) is sent all the same, drawn at
    random to measure accuracy (`Preferences.audit`). This answer stands; the cloud's word may still correct it."""
    EVICTED = "evicted"
    """The frame was to be sent, but the spool was full of frames that are worth more, or failed: final."""
    EXPIRED = "expired"
    """The frame waited longer for the cloud than frames may: the device's answer is final."""
    DAMAGED = "damaged"
    """The frame's file was damaged or lost while it waited: the device's answer is final. Or what the journal kept of
    its last word was damaged: the device's answer where it can be read, else no label."""
    REFUSED = "refused"
    """The cloud refused this frame for good (its message is in the journal); the device's answer is final."""
    GIVEN_UP = "given up"
    """The frame was sent as often as frames are (`UplinkSettings.max_tries`), and each time the server failed on it or
    the connection ended (the latest failure is in the journal); the device's answer is final."""
    NOT_WORTH = "not worth its price"
    """The little model was not sure, but a second opinion would cost more of the budget than it is worth: final."""
    PRIVATE = "private"
    """The frame may show a class that is never uploaded, or never stored: the device's answer is final."""
    COMPUTE_SPENT = "compute spent"
    """The compute budget does not pay for another run of the little model: there is no label."""
    EVENT = "event"
    """The frame is one of an event that is answered as a whole: the event's answer counts (`Answer.event`)."""
    CLOUD = "cloud"
    """The big model answered."""


@dataclass(frozen=True, slots=True)
class Event:
    """One visit: frames of one camera that belong together, and one answer to all of them.

    Attributes:
        event_id: the id of its first frame; the journal has it with each of its frames.
        source: where its frames came from: a live camera, or the folder of photos and videos.
        began_at: when its first frame was taken, with a time zone.
        ended_at: when its latest frame was taken.
        frames: how many frames it has.
        label: what came by: the likeliest class by the mean of the probabilities of the frames that look least empty;
            once the cloud has answered, by the weighted mean of that and the big model's.
        confidence: probability of `label`, in [0, 1].
        best_frame_id: the frame that looks least empty; it is the one that travels.
        final: whether this is the last word; False while the event is open, and while a cloud answer may come.
        origin: who says so.
        reason: why; of an open event, what it would be if it ended now.
        revision: 0 while the event is open; 1 once it is decided; it rises with each later word on it.
        top_k: the likeliest labels with their probabilities, the likeliest first.
        level: "" of a class; of a group its rank in the bundle's taxonomy; "root" where no group is sure enough.
        also: other classes that were seen for long beside `label`, each with its confidence: the most probable class
            (not counting those for nothing there) of at least as many frames as answer for an event, with a confidence
            at or above the threshold. The mean of that many of its highest confidences. They decide nothing.
    """

    event_id: str
    source: str
    began_at: datetime
    ended_at: datetime
    frames: int
    label: str
    confidence: float
    best_frame_id: str
    final: bool = True
    origin: Origin = Origin.DEVICE
    reason: Reason = Reason.CONFIDENT
    revision: int = 1
    top_k: tuple[tuple[str, float], ...] = ()
    also: tuple[tuple[str, float], ...] = ()
    level: str = ""

    @property
    def stands(self) -> bool:
        """Whether nobody need wait for another word: it is the last one, or the cloud is asked to measure alone."""
        return self.final or self.reason is Reason.AUDIT


@dataclass(frozen=True, slots=True)
class Answer:
    """The word on one frame.

    Attributes:
        frame_id: the frame's id.
        captured_at: the frame's capture time.
        source: the frame's source.
        label: the class, or the group above it that is sure enough; None where no model could be run (`reason` says
            why).
        confidence: probability of `label`, in [0, 1].
        origin: who says so.
        final: whether this is the last word; False while a cloud answer may come. Of a frame whose event is answered as
            a whole: whether the event's is.
        reason: why.
        level: "" of a class; of a group its rank in the bundle's taxonomy; "root" where no group is sure enough.
        event: the frame's event as it stands, where events are answered as a whole; the journal gives it by the event's
            id instead.
        exit: of the cloud's answer, the exit of its big model at which the frame left; "" where that has no exits.
    """

    frame_id: str
    captured_at: datetime
    source: str
    label: str | None
    confidence: float
    origin: Origin
    final: bool
    reason: Reason
    level: str = ""
    event: Event | None = None
    exit: str = ""

    @property
    def stands(self) -> bool:
        """Whether nobody need wait for another word: it is the last one, or the cloud is asked to measure alone."""
        return self.final or self.reason is Reason.AUDIT


class LinkState(StrEnum):
    """State of the way to the cloud."""

    OFF = "off"
    """No cloud was named: frames wait in the spool."""
    CONNECTING = "connecting"
    """A connection is being made."""
    ONLINE = "online"
    """Frames and replies go."""
    OFFLINE = "offline"
    """The server cannot be reached; the next try comes by itself."""
    BUDGET = "budget spent"
    """Reached, but a budget holds the next frame back."""
    SAVING = "saving"
    """What waits is not worth today's price of the budget; it goes when the price falls."""
    RETRYING = "trying again later"
    """The server failed on the frames that wait, or ended the connection; each is sent again after a growing pause."""
    MISMATCH = "label mismatch"
    """The server's labels are not the bundle's: nothing is sent (`link_message` says what to change)."""
    DENIED = "access denied"
    """The server does not accept the device's token, or one of the two the other's certificate: nothing is sent
    (`link_message` says what to do)."""
