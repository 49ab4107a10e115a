"""What encoding a frame costs the processor, JPEG beside WebP; runs on the device, without torch.

    python benchmarks/encode.py

Prints bytes and milliseconds of processor time for frames of the simulated camera; the encodings take turns.
"""

from __future__ import annotations

from itertools import islice

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from edge_sdk import open_camera
from edge_sdk.images.encode import encode
from edge_sdk.images.rendition import Upload
from edge_sdk.workbench.encodings import encoding_ms

CAMERA = "simulated://trailcam?seed=11"
SIDES, QUALITIES = (160, 256, 320, 640), (50, 75, 90)


def main() -> None:
    """Measure and print."""
    cv2.setNumThreads(1)
    with open_camera(CAMERA) as camera:
        pictures = [frame.image for frame in islice(camera, 0, 80, 10)]
    uploads = [Upload(side, quality, kind) for side in SIDES for quality in QUALITIES for kind in ("jpeg", "webp")]
    times = encoding_ms(pictures, uploads)
    sizes = [float(np.mean([len(encode(picture, upload)) for picture in pictures])) for upload in uploads]
    table = Table(title="640x480 frames, one core, median")
    for name in ("encoding", "JPEG kB", "WebP kB", "bytes, ratio", "JPEG ms", "WebP ms", "time, ratio"):
        table.add_column(name, justify="left" if name == "encoding" else "right")
    for at in range(0, len(uploads), 2):
        (small, large), (quick, slow) = sizes[at : at + 2], times[at : at + 2]
        kilobytes = (f"{small / 1e3:.2f}", f"{large / 1e3:.2f}", f"{large / small:.2f}")
        table.add_row(uploads[at].name, *kilobytes, f"{quick:.2f}", f"{slow:.2f}", f"{slow / quick:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
