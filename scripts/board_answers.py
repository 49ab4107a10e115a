"""What a device answers, as JSON: the same program on a board, emulated or real, and on a workstation.

    python board_answers.py [PHOTO ...] [--frames N] [--passes N]

Logits are written bit by bit (hexadecimal floats), so that two machines can be compared exactly.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time

HEAVY = {"torch", "timm", "pandas", "executorch", "cloud_server"}


def main() -> None:
    """Answer, and say what was answered with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", nargs="*")
    parser.add_argument(
        "--frames", type=int, default=2, help="that this machine draws as the simulated camera, by its own arithmetic"
    )
    parser.add_argument("--passes", type=int, default=1, help="over the frames that it draws")
    options = parser.parse_args()

    from edge_sdk import LittleModel, open_bundle, open_camera
    from edge_sdk.images import read_image

    started = time.perf_counter()
    frames = list(open_camera(f"simulated://trailcam?seed=1&frames={options.frames}"))
    logits: dict[str, list[str]] = {}
    with LittleModel(open_bundle("trailcam")) as model:  # refuses a wrong processor by the golden picture
        loaded = time.perf_counter()
        for _ in range(options.passes):
            for number, frame in enumerate(frames):
                logits[f"drawn {number}"] = [float(value).hex() for value in model.logits(frame.image)]
        seconds = time.perf_counter() - loaded
        for path in options.photos:
            image = read_image(path).image
            logits[path.rsplit("/", 1)[-1]] = [float(value).hex() for value in model.logits(image)]

    import cv2
    import numpy as np

    with open("/proc/self/status") as status:
        peak = next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)
    said = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "heavy": sorted(HEAVY & {name.split(".")[0] for name in sys.modules}),
        "peak_mb": round(peak / 1024, 1),
        "start_s": round(loaded - started, 3),
        "frame_ms": round(1e3 * seconds / max(1, options.frames * options.passes), 2),
        "logits": logits,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
