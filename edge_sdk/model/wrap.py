"""A bundle around a network that another tool exported, for a runtime of your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_sdk.errors import BundleError
from edge_sdk.model.bundle import Bundle, Golden, Manifest, Task, write_bundle
from edge_sdk.model.inputs import InputSpec, golden_picture, prepare
from edge_sdk.model.policy import Policy
from edge_sdk.model.runtime import Runtime
from edge_sdk.types import Image, View


def wrap_network(
    path: str | Path,
    network: str | Path,
    *,
    runtime: Runtime,
    labels: Sequence[str],
    input: InputSpec,
    macs: int,
    name: str | None = None,
    version: str = "1",
    precision: str = "fp32",
    parameters: int = 1,
    golden: Image | None = None,
    tolerance: float = 0.05,
    policy: Policy | None = None,
    view: View = View.FRAME,
    task: Task | str = Task.CLASSIFY,
) -> Bundle:
    """Write a bundle around a network file. Its golden output is what the runtime computes here, now.

    Args:
        path: the bundle's folder.
        network: the file that the runtime loads.
        runtime: what runs it.
        labels: class names, in the order of the outputs.
        input: what the network takes.
        macs: multiply-accumulates of one forward pass, which a compute budget counts.
        name: of the model; None: the folder's name.
        version: of the model.
        precision: number format, for people.
        parameters: number of weights, for people.
        golden: a typical picture, `uint8 (H, W, 3)` RGB; None: noise.
        tolerance: largest accepted absolute difference of a logit on another processor.
        policy: how to use it; None: the cautious `Policy()`.
        view: what of a frame the network looks at.
        task: what the outputs are; a detector's are described in `edge_sdk.model.bundle_detector`.

    Raises:
        BundleError: the runtime cannot run the network, or gives NaN or infinity; the folder cannot be written.
    """
    network = Path(network)
    if golden is None:
        shape = (input.height * 3 // 2 + 1, input.width * 3 // 2 + 1, 3)  # so that it is scaled
        golden = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    golden = golden_picture(golden, input)
    logits = runtime.load(network, input, 1).forward(prepare(golden, input))
    if not np.isfinite(logits).all():
        raise BundleError(f"{network}: expected finite logits; got {logits.tolist()}")
    manifest = Manifest(
        name=name or Path(path).name,
        version=version,
        labels=tuple(labels),
        input=input,
        macs=macs,
        parameters=parameters,
        precision=precision,
        model=f"model{network.suffix}",
        format=runtime.format,
        golden=Golden("golden.png", tuple(float(value) for value in logits), tolerance),
        view=view.value,
        task=Task(task),
    )
    return write_bundle(path, model=network, manifest=manifest, golden=golden, policy=policy)
