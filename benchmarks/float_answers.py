"""What Lite0 in float32 says of real photos at several sizes, kept in a file: no export to int8 is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from photos import CALIBRATION, Said, images, network
from rich.console import Console

from edge_sdk.model.inputs import prepare
from edge_sdk.workbench.photos import LITTLE_WEIGHTS
from edge_sdk.workbench.tensors import to_tensor


def float_answers(side: int, files: list[tuple[Path, int]], out: Path, console: Console) -> Said:
    """Lite0's logits on the judged photos (`benchmarks/photos.py`), for an input of `side` pixels."""
    kept = out / f"lite0-float-{side}.npy"
    module, info = network(LITTLE_WEIGHTS, side)
    if not kept.exists():
        rows = []
        for image in images(files[CALIBRATION:], f"Lite0@{side} in float32", console):
            with torch.inference_mode():
                rows.append(module(to_tensor(prepare(image, info.input)[None], info.input)).numpy()[0])
        np.save(kept, np.stack(rows))
    return Said(np.load(kept), info.macs)
