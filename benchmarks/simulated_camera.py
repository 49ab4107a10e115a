"""Frames per second of the simulated camera on one core, and what it shows.

python benchmarks/simulated_camera.py [--frames 600] [--seeds 4]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from itertools import islice

import cv2
import numpy as np

from edge_sdk.camera.simulated import LABELS, SimulatedCamera, training_frames
from edge_sdk.camera.simulated.sampler import sampled_shots


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=4)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{'source':<28}{'size':>10}{'frames/s (one core)':>22}")
    for width, height in ((640, 480), (320, 240), (1280, 720)):
        camera = SimulatedCamera(seed=1, width=width, height=height)
        _report("SimulatedCamera", f"{width}x{height}", camera, args.frames)
    _report("training_frames", "640x480", training_frames(1), args.frames)
    truths = Counter(
        frame.truth for seed in range(args.seeds) for frame in SimulatedCamera(seed=1000 + seed, frames=args.frames)
    )
    total = sum(truths.values())
    sizes: dict[str, list[float]] = {label: [] for label in LABELS}
    for shot, _ in islice(sampled_shots(1), args.frames):
        sizes[shot.label or "empty"].append(shot.extent_px)
    print(f"\n{'class':<10}{'share of stream':>16}{'far (<60 px)':>14}{'middle':>9}{'near (>140 px)':>16}")
    for label in LABELS:
        extent = np.array(sizes[label])
        row = f"{label:<10}{truths[label] / total:>16.1%}"
        if label != "empty":
            far, near = float((extent < 60).mean()), float((extent >= 140).mean())
            row += f"{far:>14.0%}{1 - far - near:>9.0%}{near:>16.0%}"
        print(row)


def _report(name: str, size: str, source: object, frames: int) -> None:
    iterator = iter(source)  # type: ignore[call-overload]
    list(islice(iterator, 20))
    began = time.process_time()
    count = sum(1 for _ in islice(iterator, frames))
    print(f"{name:<28}{size:>10}{count / (time.process_time() - began):>22.0f}")


if __name__ == "__main__":
    main()
