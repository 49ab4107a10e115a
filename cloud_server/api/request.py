"""A request of a device, checked before anything is spent on it."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass

import numpy as np

from cloud_server.model.batching import Little
from edge_sdk.errors import EdgeError
from edge_sdk.types import Region
from edge_sdk.wire import offload_pb2 as wire

ID_SHOWN = 64
"""Characters of a malformed frame id that come back in the reply."""
_LARGE, _PIECE = 64 << 10, 2047
"""Bytes: of a picture whose digest takes long enough to let others run meanwhile; below hashlib's own bound."""
_FRAME_ID = re.compile(r"[0-9a-fA-F]{32}")


class BadRequest(EdgeError):
    """A request is malformed: its frame id or its probabilities."""


class NotServed(EdgeError):
    """A request names a model, or a version of it, that this server does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame as a device sent it, checked.

    Attributes:
        frame_id: 32 hexadecimal digits, lower case.
        image: the encoded picture, not looked at yet.
        little: the little model's probabilities, `float32 (C,)`, or None.
        digest: BLAKE2b of `image`, 16 bytes.
        event: the event that it stands for, 32 hexadecimal digits, lower case; "": for itself alone.
        region: where in the picture something moved, at least 1 pixel wide and high; it may lie outside, which is not
            known before the picture is decoded. None: none came.
        wait_s: how long its answer is worth waiting for, seconds from its arrival; infinity: no limit came.
    """

    frame_id: str
    image: bytes
    little: Little
    digest: bytes
    event: str = ""
    region: Region | None = None
    wait_s: float = math.inf

    def check_same(self, digest: bytes) -> None:
        """Compare with the picture that came before under this id.

        Raises:
            BadRequest: it was another.
        """
        if self.digest != digest:
            raise BadRequest(f"expected one picture for each frame id; {self.frame_id} came before with other bytes")


def check_request(request: wire.ClassifyRequest, labels: int) -> Frame:
    """Check frame id and probabilities; fields that this server does not know are ignored, and a region of no size.

    Args:
        request: as it came.
        labels: those of this server. A device sends frames only where all of its labels are among them.

    Raises:
        BadRequest: one of them is malformed.
    """
    frame_id = request.frame_id
    if not _FRAME_ID.fullmatch(frame_id):
        raise BadRequest(f"expected a frame id of 32 hexadecimal digits; got {frame_id[:ID_SHOWN]!r}")
    count = len(request.probabilities)
    if count > labels:  # nothing is converted: millions of them would hold up all devices
        raise BadRequest(f"expected at most {labels:,} probabilities, one for each label; got {count:,}")
    little = None
    if count:
        little = np.fromiter(request.probabilities, np.float32, count)
        if not ((little >= 0) & (little <= 1.001)).all():  # NaN fails too
            raise BadRequest("expected the little model's probabilities, each from 0 to 1; got others")
    digest = _digest(request.image)
    event = request.event_id if _FRAME_ID.fullmatch(request.event_id) else ""  # nothing that is answered depends on it
    wait_s = request.wait_ms / 1000 or math.inf
    return Frame(frame_id.lower(), request.image, little, digest, event.lower(), _region(request), wait_s)


def _digest(image: bytes) -> bytes:
    """BLAKE2b; in pieces where the picture is small: for more, hashlib gives Python's lock away and waits for it."""
    if len(image) > _LARGE:
        return hashlib.blake2b(image, digest_size=16).digest()
    digest = hashlib.blake2b(digest_size=16)
    for begin in range(0, len(image), _PIECE):
        digest.update(image[begin : begin + _PIECE])
    return digest.digest()


def _region(request: wire.ClassifyRequest) -> Region | None:
    """A hint that cannot be used costs the frame nothing: the picture is seen whole."""
    box = request.region
    if not request.HasField("region") or box.width == 0 or box.height == 0:
        return None
    return Region(box.x, box.y, box.width, box.height, 1.0)
