"""ExecuTorch's C++ runtime, one class, and the scaling of pictures (edge_sdk/native/)."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

def scale(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture at another size, without the interpreter lock; the rule is that of `edge_sdk.images.scale`.

    Args:
        pixels: `uint8 (H, W, 3)`, the bytes of each row side by side.
        width: of the result, 1 to 2^23.
        height: likewise.

    Raises:
        ValueError: another shape, or a size out of range.
    """

class Program:
    """One loaded .pte program: pixels in, logits out. Safe to use from several threads, which then take turns.

    Args:
        path: of the program; its method "forward" takes one float32 picture, (1, 3, H, W) in either memory format or
            (1, H, W, 3), and returns float32 (1, C).
        mean: per channel (R, G, B): the network sees `(pixel / 255 - mean) / std`.
        std: as `mean`, positive.
        threads: 1 runs in the calling thread alone; more use the process's one pool, which has the size that the first
            open program asked for.

    Raises:
        ValueError: `threads` or `std` cannot be used.
        RuntimeError: the program cannot be loaded; the message holds ExecuTorch's error.
    """

    def __init__(
        self,
        path: str,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        threads: int = 1,
    ) -> None: ...
    def forward(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the network, without the interpreter lock.

        Args:
            pixels: `uint8 (height, width, 3)`, C-contiguous.

        Returns:
            `float32 (outputs,)`, memory of its own.

        Raises:
            ValueError: wrong shape.
            TypeError: not such an array at all.
            RuntimeError: the network failed; the message holds ExecuTorch's error.
        """

    def forward_scaled(
        self, pixels: NDArray[np.uint8], part: Sequence[int], fill: Sequence[int]
    ) -> NDArray[np.float32]:
        """Scale a picture straight into the network's input, and run it; without the interpreter lock.

        Args:
            pixels: `uint8 (H, W, 3)`, the bytes of each row side by side.
            part: left, top, width and height of the part of the input that the picture is scaled to.
            fill: the pixel around that part, R, G, B.

        Returns:
            `float32 (outputs,)`, memory of its own: what `forward` gives of the scaled picture.

        Raises:
            ValueError: another shape, or a part that is not within the input.
            RuntimeError: the network failed; the message holds ExecuTorch's error.
        """

    @property
    def threads(self) -> int:
        """Threads that one run uses."""

    @property
    def width(self) -> int:
        """Of the input, in pixels."""

    @property
    def height(self) -> int:
        """Of the input, in pixels."""

    @property
    def outputs(self) -> int:
        """Number of logits."""

    @property
    def layout(self) -> Literal["NCHW", "NHWC"]:
        """Memory order of the program's input tensor."""
