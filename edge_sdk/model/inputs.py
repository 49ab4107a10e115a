"""A network's input, and how a picture becomes one: the same pixels in training, records, device and server."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from edge_sdk.images.geometry import centre_crop, inside
from edge_sdk.images.scale import scale
from edge_sdk.model.halving import crop_halved, fit_halved, halve
from edge_sdk.types import Image, check_image

_Positive = Annotated[int, Meta(ge=1)]
_S = TypeVar("_S", bound=msgspec.Struct)
_GOLDEN_SIDE = 640


class InputSpec(msgspec.Struct, frozen=True):
    """What the network's input is made of.

    Attributes:
        width: pixels.
        height: pixels.
        mean: per channel (R, G, B), in units of the 0..1 range: `x = (pixel / 255 - mean) / std`.
        std: as `mean`.
        resize: "stretch" scales to width x height whatever the aspect; "crop" scales to cover it and cuts the centre;
            "letterbox" scales to fit and fills the rest with `mean`.
        scaling: version of the rule that scales. 2: in integers, the same on every processor
            (`edge_sdk.images.scale`). 1: OpenCV, whose pixels depend on processor and version; a file without the field
            means 1 (`decode_description`).
    """

    width: _Positive
    height: _Positive
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: Literal["stretch", "crop", "letterbox"] = "stretch"
    scaling: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        if not min(self.std) > 0:
            raise ValueError(f"expected positive `std`; got {self.std}")

    @property
    def fill(self) -> tuple[int, int, int]:
        """The pixel nearest to `mean`."""
        red, green, blue = (min(max(round(255 * mean), 0), 255) for mean in self.mean)
        return red, green, blue


class Placement(NamedTuple):
    """Where a picture goes in a network's input, by rule 2.

    Attributes:
        cut: the part of the picture that is scaled, a view.
        left: of the place that it is scaled to, pixels of the input.
        top: likewise.
        width: likewise.
        height: likewise.
    """

    cut: Image
    left: int
    top: int
    width: int
    height: int


def decode_description(text: str | bytes, kind: type[_S]) -> _S:
    """A description with an `input` from JSON, such as a manifest; one that names no scaling rule means rule 1.

    Raises:
        msgspec.MsgspecError: it is not JSON, or not such a description.
    """
    return msgspec.json.decode(msgspec.json.encode(name_scaling(msgspec.json.decode(text))), type=kind)


def name_scaling(plain: Any) -> Any:
    """Write into a decoded description, at its key `input`, the scaling rule that a file without one means: 1."""
    spec = plain.get("input") if isinstance(plain, dict) else None
    if isinstance(spec, dict):
        spec.setdefault("scaling", 1)
    return plain


def place(image: Image, spec: InputSpec) -> Placement:
    """Which part of a picture is scaled to which part of the input; whole pixels, nearest to the exact proportions."""
    width, height = spec.width, spec.height
    if spec.resize == "crop":
        return Placement(centre_crop(image, width, height), 0, 0, width, height)
    if spec.resize == "letterbox":
        fit_width, fit_height = inside(width, height, image.shape[1], image.shape[0])
        return Placement(image, (width - fit_width) // 2, (height - fit_height) // 2, fit_width, fit_height)
    return Placement(image, 0, 0, width, height)


def prepare(image: Image, spec: InputSpec) -> Image:
    """Bring a picture to the input's size, by the rules in `spec.resize` and `spec.scaling`.

    Training, export, records, the device and the server all see these pixels.

    Args:
        image: `uint8 (H, W, 3)` RGB.
        spec: the input.

    Returns:
        `uint8 (spec.height, spec.width, 3)` RGB; `image` itself where it has that size already.

    Raises:
        ImageError: `image` is not such a picture.
    """
    image = check_image(image)
    if image.shape == (spec.height, spec.width, 3):
        return image
    if spec.scaling == 1:
        return _prepare_halved(image, spec)
    placed = place(image, spec)
    scaled = scale(placed.cut, placed.width, placed.height)
    if scaled.shape == (spec.height, spec.width, 3):
        return scaled
    out = np.empty((spec.height, spec.width, 3), np.uint8)
    out[:] = spec.fill
    out[placed.top : placed.top + placed.height, placed.left : placed.left + placed.width] = scaled
    return out


def golden_picture(image: Image, spec: InputSpec) -> Image:
    """The picture as a bundle keeps it for its check: as it came, so that the check covers the scaling.

    Sides beyond 640 pixels and beyond twice the input's longer one are scaled down, since the check costs milliseconds
    at every start. By rule 1 it is at the input's size, since that rule may differ between processors.
    """
    if spec.scaling == 1:
        return prepare(image, spec)
    image = check_image(image)
    height, width = image.shape[:2]
    longest = max(_GOLDEN_SIDE, 2 * spec.width, 2 * spec.height)
    return image if max(width, height) <= longest else scale(image, *inside(longest, longest, width, height))


def pixels_digest(image: Image, spec: InputSpec) -> str:
    """The sha256 of a picture's pixels at the input's size; "" by rule 1, whose pixels are not the same everywhere."""
    return "" if spec.scaling == 1 else hashlib.sha256(prepare(image, spec).tobytes()).hexdigest()


def _prepare_halved(image: Image, spec: InputSpec) -> Image:
    if spec.resize == "crop":
        return crop_halved(image, spec.width, spec.height)
    if spec.resize == "letterbox":
        return fit_halved(image, spec.width, spec.height, spec.fill)
    return halve(image, spec.width, spec.height)
