"""What no one shall recognise is blurred before a picture is written or sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_sdk.camera.detector import Finder
from edge_sdk.errors import ConfigError
from edge_sdk.images.pixelate import pixelate
from edge_sdk.types import Frame, Prediction, Region

_log = logging.getLogger(__name__)

_MARGIN = 0.5
"""On each side of a region: the mask of movement may leave out what stands still of a subject."""


@dataclass(frozen=True, slots=True)
class Blur:
    """What is blurred on every picture that is stored or sent. The little model sees the picture as it is.

    The picture that the big model sees, the archive's, its close-up beside the frame and the picture in the spool are
    all blurred; no other is written. Blurring replaces the pixels of a box by the mean colours of a few cells, which
    cannot be undone (`edge_sdk.images.pixelate`).

    Attributes:
        classes: where the little model's probabilities of these sum to `above` or more, the frame's regions are
            blurred: where the motion gate saw movement, and half of that on each side. The whole frame, where there
            is no region.
        above: in (0, 1].
        detector: its boxes are blurred on every picture, whatever the little model says, and where it raises an error
            all of it is; None: none.
        cells: cells along the longer side of a box.
        whole: blur the whole frame in place of its regions: a person who stands still beside one who moves is in none.

    Raises:
        ConfigError: a value cannot be used, or there is nothing to blur.
    """

    classes: tuple[str, ...] = ("person",)
    above: float = 0.2
    detector: Finder | None = None
    cells: int = 6
    whole: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.classes, str) or not all(isinstance(one, str) for one in self.classes):
            raise ConfigError(f"expected Blur.classes as names of classes; got {self.classes!r}")
        if not self.classes and self.detector is None:
            raise ConfigError("expected classes or a detector for Blur; got neither")
        if not 0 < self.above <= 1:
            raise ConfigError(f"expected Blur.above in (0, 1]; got {self.above!r}")
        if isinstance(self.cells, bool) or not isinstance(self.cells, int) or not 1 <= self.cells <= 64:
            raise ConfigError(f"expected Blur.cells as a whole number from 1 to 64; got {self.cells!r}")
        if self.detector is not None and not isinstance(self.detector, Finder):
            raise ConfigError(f"expected Blur.detector with a method detect(image); got {self.detector!r}")

    def check(self, labels: Sequence[str]) -> None:
        """Refuse classes that the bundle does not have.

        Raises:
            ConfigError: there are such.
        """
        if unknown := sorted(set(self.classes).difference(labels)):
            raise ConfigError(f"expected classes of the bundle ({', '.join(labels)}) in Blur; got {', '.join(unknown)}")

    def of(self, frame: Frame, prediction: Prediction | None) -> Frame:
        """The frame as it may be written and sent; the same where nothing is to be blurred.

        Args:
            frame: as the camera gave it.
            prediction: the little model's; None: nothing is known of the frame, and all of it is blurred.
        """
        height, width = frame.image.shape[:2]
        everything = Region(0, 0, width, height, 1.0)
        image = frame.image
        if prediction is None or self._shows(prediction):
            regions = (everything,) if prediction is None or self.whole or not frame.regions else frame.regions
            image = pixelate(image, regions, self.cells, margin=_MARGIN)
        if self.detector is not None:
            try:
                boxes = tuple(self.detector.detect(frame.image))
            except Exception:
                _log.exception("the detector of Blur failed on %s: all of it is blurred", frame.frame_id)
                boxes = (everything,)
            image = pixelate(image, boxes, self.cells)
        return frame if image is frame.image else replace(frame, image=image)

    def _shows(self, prediction: Prediction) -> bool:
        chances = zip(prediction.labels, prediction.probabilities.tolist(), strict=True)
        return bool(sum(chance for label, chance in chances if label in self.classes) >= self.above)
