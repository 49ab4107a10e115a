"""Random changes to training pictures, such as differ between two photographs of the same thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.types import Image


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Strengths of the changes. Probabilities are per picture.

    Attributes:
        scale: smallest share of the picture's sides that the cut-out keeps.
        stretch: largest relative change of the aspect ratio.
        turn_deg: largest rotation in either direction, degrees.
        flip: probability of a mirror image.
        gain: brightness is multiplied by up to 1 + gain or divided by as much, contrast likewise.
        tint: each colour channel is multiplied by 1 - tint to 1 + tint.
        grey: probability that the picture becomes grey, as in infrared light.
        noise: largest standard deviation of added noise, in units of 255; half of the pictures get some.
        blur: probability of a blur.
        jpeg: probability of being compressed, at a quality of 50 to 95.
        cutout: probability of a hidden rectangle, up to a fifth of each side.
    """

    scale: float = 0.85
    stretch: float = 0.1
    turn_deg: float = 4.0
    flip: float = 0.5
    gain: float = 0.35
    tint: float = 0.08
    grey: float = 0.15
    noise: float = 0.04
    blur: float = 0.15
    jpeg: float = 0.2
    cutout: float = 0.15

    def weaker(self, strength: float) -> Augmentation:
        """The same changes at a share of their strength in [0, 1]; mirror images stay."""
        return Augmentation(
            scale=1 - (1 - self.scale) * strength,
            stretch=self.stretch * strength,
            turn_deg=self.turn_deg * strength,
            flip=self.flip,
            gain=self.gain * strength,
            tint=self.tint * strength,
            grey=self.grey * strength,
            noise=self.noise * strength,
            blur=self.blur * strength,
            jpeg=self.jpeg * strength,
            cutout=self.cutout * strength,
        )

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        """A changed copy of `uint8 (H, W, 3)`, the same size."""
        out: NDArray[Any] = self._geometry(image, rng)
        if rng.random() < self.grey:
            out = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if rng.random() < self.blur:
            out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.2)))
        out = self._light(out, rng)
        if rng.random() < self.jpeg:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))]
            out = np.asarray(cv2.imdecode(cv2.imencode(".jpg", out, quality)[1], cv2.IMREAD_COLOR))
        if rng.random() < self.cutout:
            height, width = out.shape[:2]
            h, w = rng.uniform(0.05, 0.2, 2) * (height, width)
            top, left = rng.uniform(0, height - h), rng.uniform(0, width - w)
            out[int(top) : int(top + h), int(left) : int(left + w)] = rng.integers(0, 256, 3, np.uint8)
        return np.asarray(out, np.uint8)

    def _geometry(self, image: Image, rng: np.random.Generator) -> Image:
        height, width = image.shape[:2]
        share = rng.uniform(self.scale, 1.0)
        aspect = np.exp(rng.uniform(-self.stretch, self.stretch))
        share_x, share_y = min(1.0, share * aspect), min(1.0, share / aspect)
        centre_x = width * (0.5 + (1 - share_x) * rng.uniform(-0.5, 0.5))
        centre_y = height * (0.5 + (1 - share_y) * rng.uniform(-0.5, 0.5))
        turn = np.deg2rad(rng.uniform(-self.turn_deg, self.turn_deg))
        flip = -1.0 if rng.random() < self.flip else 1.0
        # From a pixel of the result to one of the picture: cv2's WARP_INVERSE_MAP.
        cos, sin = np.cos(turn), np.sin(turn)
        linear = np.array([[cos * share_x * flip, -sin * share_y], [sin * share_x * flip, cos * share_y]])
        shift = np.array([centre_x, centre_y]) - linear @ (np.array([width, height]) / 2)
        matrix = np.column_stack([linear, shift])
        return np.asarray(
            cv2.warpAffine(
                image,
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            ),
            np.uint8,
        )

    def _light(self, image: Image, rng: np.random.Generator) -> Image:
        brightness, contrast = (1 + self.gain) ** rng.uniform(-1, 1, 2)
        tint = rng.uniform(1 - self.tint, 1 + self.tint, 3)
        sigma = rng.uniform(0, self.noise) * 255 if rng.random() < 0.5 else 0.0
        levels = np.arange(256, dtype=np.float32)
        mean = float(image.mean())
        table = ((levels[:, None] - mean) * contrast + mean) * brightness * tint
        out: NDArray[Any] = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])
        if sigma:
            noise = np.empty(image.shape, np.int16)
            cv2.setRNGSeed(int(rng.integers(1 << 31)))
            cv2.randn(noise, np.zeros(3), np.full(3, sigma))
            out = cv2.add(out, noise, dtype=cv2.CV_8U)
        return np.asarray(out, np.uint8)
