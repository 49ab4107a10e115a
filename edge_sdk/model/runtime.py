"""The seam between the SDK and whatever runs a network: ExecuTorch by default, another runtime where you name one.

A runtime opens a bundle's network file and gives back a program; a program turns pixels into logits, and may scale the
picture as well. The softmax, the check against the golden picture and the compute budget stay with `LittleModel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.inputs import InputSpec
from edge_sdk.types import Image


class Program(Protocol):
    """A loaded network. `LittleModel` may call `forward` from several threads at once."""

    @property
    def width(self) -> int:
        """Of the input, pixels."""

    @property
    def height(self) -> int:
        """Of the input, pixels."""

    @property
    def outputs(self) -> int:
        """Number of logits."""

    def forward(self, pixels: Image) -> NDArray[np.float32]:
        """Logits `float32 (outputs,)` of `uint8 (height, width, 3)` RGB pixels."""


@runtime_checkable
class ScalingProgram(Program, Protocol):
    """A program that also scales, in one pass from the caller's pixels into the network's memory."""

    def forward_scaled(self, pixels: Image, part: Sequence[int], fill: Sequence[int]) -> NDArray[np.float32]:
        """Logits of a picture of any size, the same as `forward` gives of `edge_sdk.model.inputs.prepare`'s pixels.

        Args:
            pixels: `uint8 (H, W, 3)` RGB, each row's bytes side by side.
            part: left, top, width and height of the part of the input that the picture is scaled to.
            fill: the pixel around that part, R, G, B.
        """


class Runtime(Protocol):
    """Something that runs networks of one file format. `edge_sdk.testing.FakeRuntime` is one for tests."""

    @property
    def name(self) -> str:
        """Of the runtime, for people, such as "onnxruntime"."""

    @property
    def format(self) -> str:
        """The file format that it runs, as `Manifest.format` names it, such as "onnx"."""

    def load(self, path: Path, spec: InputSpec, threads: int) -> Program:
        """Open a network.

        Args:
            path: the bundle's network file.
            spec: the input; the program applies its `mean` and `std` to the pixels.
            threads: processor threads that one forward pass uses.

        Raises:
            BundleError: the file is not a network that this runtime can run.
            ConfigError: `threads` cannot be had.
        """
