"""Export of a torch network to a bundle: int8 by PT2E, XNNPACK and ExecuTorch.

The path is PyTorch's own: `torch.export`, `prepare_pt2e` with XNNPACK's quantiser (symmetric, weights per channel),
calibration on the user's pictures, `convert_pt2e`, lowering to XNNPACK's delegate. Heavy operators that the
delegate does not take are an error that names them, because portable kernels are tens of times slower.
"""

from __future__ import annotations

import copy
import importlib.metadata
import logging
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import length_hint
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import Bundle, Golden, Manifest, tables_of, write_bundle
from edge_sdk.model.inputs import InputSpec, golden_picture, prepare
from edge_sdk.model.policy import Policy
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.types import Image, View
from edge_sdk.workbench.cascade.paired import Difference, paired_difference
from edge_sdk.workbench.device_run import run_on_device
from edge_sdk.workbench.float_layers import LayerLoss
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.likeness import likeness
from edge_sdk.workbench.lowering import lower, quiet
from edge_sdk.workbench.outside import Outside
from edge_sdk.workbench.photo_classes import meaning_in
from edge_sdk.workbench.quantise import Effort, Quantised, example, logits_of, quantise
from edge_sdk.workbench.rewrites.capture import capture

_log = logging.getLogger(__name__)

ENOUGH = 100
"""Of fewer pictures held out, the calibration pictures are run as well, to compare the device's runtime with torch."""

_WHOLE = 64
"""Of so many pictures one becomes the golden picture; they are kept as they came."""

Progress = Callable[[str, int, int], None]
"""Called as `progress(what, done, of)`."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of an export.

    Attributes:
        bundle: the bundle that was written.
        pictures: number of calibration pictures.
        measured: number of pictures that agreement and accuracy were measured on.
        labelled: number of those whose label the network knows.
        held_out: whether those are pictures that int8 was not calibrated on.
        agreement: share of them on which the bundle, in the device's runtime, names the float network's class.
        float_accuracy: share that the float network names rightly; None where no picture has one of its labels.
        bundle_accuracy: the same for the bundle.
        model_bytes: size of `model.pte`.
        error: of the bundle's logits against the float network's on those pictures (`Likeness.error`).
        difference: the bundle's accuracy less the float network's, with its 95% interval; None as `float_accuracy`.
        latency_ms: median time of a picture on this machine, in the device's runtime, one thread.
        float_layers: number of layers with weights that stayed in float32 in an int8 bundle.
        spared: their names.
        losses: what int8 costs at each layer, the most first; empty where it was not measured (`effort`).
        outside: operators that run outside XNNPACK: light ones, and those that were allowed.
    """

    bundle: Bundle
    pictures: int
    measured: int
    labelled: int
    held_out: bool
    agreement: float
    float_accuracy: float | None
    bundle_accuracy: float | None
    model_bytes: int
    error: float
    difference: Difference | None
    latency_ms: float
    float_layers: int = 0
    spared: tuple[str, ...] = ()
    losses: tuple[LayerLoss, ...] = ()
    outside: tuple[Outside, ...] = ()


def export(
    module: nn.Module,
    images: Iterable[Image | LabelledImage],
    out: str | Path,
    *,
    labels: Sequence[str],
    input: InputSpec,
    name: str,
    version: str,
    held_out: Iterable[Image | LabelledImage] = (),
    made_for: str = "",
    view: View = View.FRAME,
    fp32: bool = False,
    policy: Policy | None = None,
    allow: Sequence[str] = (),
    effort: Effort = "best",
    spare: bool = True,
    on_step: Callable[[str], None] | None = None,
    on_progress: Progress | None = None,
) -> ExportReport:
    """Quantise a network on the pictures given, lower it, and write a bundle that has been run by the device's runtime.

    Args:
        module: takes `float32 (1, 3, height, width)`, gives logits `(1, C)`; it is not changed.
        images: pictures like those that the device will see, a hundred or more; labelled ones also measure accuracy.
        out: the bundle's folder.
        labels: C class names in the order of the outputs.
        input: what the network takes.
        name: of the model.
        version: of the model.
        held_out: other pictures, to measure on; without them agreement and accuracy are of `images`, and flatter.
        made_for: what its pictures came from, for the manifest (`edge_sdk.model.made_for`).
        view: what of a frame the network is to look at, for the manifest.
        fp32: do not quantise.
        policy: for `policy.json`; None writes none: an exported bundle is to be calibrated.
        allow: operators that may stay outside XNNPACK though they are heavy, such as "sort".
        effort: how much is tried to keep the answers in int8 (`edge_sdk.workbench.quantise`).
        spare: leave layers in float32 where int8 would cost the answers; with "best" alone.
        on_step: told what begins now.
        on_progress: told how far it is, picture by picture.

    Raises:
        WorkbenchError: no pictures; outputs that do not fit the labels; a network that cannot be exported; a heavy
            operator that XNNPACK did not take, named with its module; or a bundle whose answers are not the network's.
        BundleError: `out` cannot be written.
    """
    tell, show = on_step or _log.info, on_progress or _silent
    pixels, truths, whole = _read(images, input, labels, "reading pictures", show)
    if not len(pixels):
        raise WorkbenchError("expected pictures to calibrate the quantisation on; got none")
    judged, judged_truths, judged_whole = _read(held_out, input, labels, "reading pictures to measure on", show)
    original = copy.deepcopy(module).eval()
    _check_outputs(original, pixels[:1], input, labels)
    wanted_logits = logits_of(original, pixels, input, _of("running the float network", show))
    judged_logits = wanted_logits[:0]
    if len(judged):
        judged_logits = logits_of(original, judged, input, _of("running it on pictures to measure on", show))
    quantised: Quantised | None = None
    tell("capturing the network")
    show("capturing the network", 0, 0)
    with quiet():
        inputs = (example(pixels[:1], input),)
        captured = capture(original, inputs)
        show("capturing the network", 1, 1)
        if not fp32:
            tell(f"calibrating int8 on {len(pixels)} pictures")
            quantised = quantise(captured, pixels, input, wanted_logits, effort=effort, spare=spare, on_progress=show)
            captured = quantised.network
            if quantised.float_layers:
                tell(f"these layers stay in float32, where int8 costs too much: {', '.join(quantised.float_layers)}")
        tell("lowering to XNNPACK")
        lowered = lower(captured, inputs, allow, _of("lowering to XNNPACK, per cent", show))
        program = lowered.program
    held_back, measured = len(judged) > 0, len(judged) or len(pixels)
    if len(judged) < ENOUGH:
        judged, judged_truths = np.concatenate([judged, pixels]), np.concatenate([judged_truths, truths])
        judged_logits = np.concatenate([judged_logits, wanted_logits])
    tell(f"checking the bundle in the device's runtime on {len(judged)} pictures")
    expected = logits_of(captured, judged, input, _of("running the network as torch emulates it", show))
    whole = judged_whole or whole
    golden = int(np.argsort(_margins(expected[: len(whole)]))[len(whole) // 2])  # an ordinary picture
    spread = float(np.ptp(expected))
    manifest = Manifest(
        name=name,
        version=version,
        labels=tuple(labels),
        input=input,
        macs=count_macs(original, input.width, input.height),
        parameters=count_parameters(original),
        precision="fp32" if fp32 else "int8",
        golden=Golden(
            "golden.png",
            tuple(float(value) for value in expected[golden]),
            tolerance=1e3 * max(spread, 1.0),  # of the trial; torch's emulation of int8 is not the device's arithmetic
        ),
        made_for=made_for,
        view=view.value,
        made_with={package: importlib.metadata.version(package) for package in ("executorch", "torch", "torchao")},
    )
    with tempfile.TemporaryDirectory() as folder:
        trial = write_bundle(Path(folder) / "bundle", model=program, manifest=manifest, golden=whole[golden])
        show_run = _of("running it in the device's runtime", show)
        run = run_on_device(trial, judged, expected, judged_logits.argmax(1), show_run)
    manifest = msgspec.structs.replace(
        manifest,
        golden=Golden(
            "golden.png",
            tuple(float(value) for value in run.golden),
            tolerance=max(0.02 * spread, 4 * _output_step(captured), 1e-3),
        ),
    )
    priors, taxonomy = tables_of(out, manifest.labels)
    bundle = write_bundle(
        out,
        model=program,
        manifest=manifest,
        golden=whole[golden],
        policy=policy,
        priors=priors,
        taxonomy=taxonomy,
    )
    of_float, truths = judged_logits[:measured].argmax(1), judged_truths[:measured]
    found, known = likeness(run.logits[:measured], judged_logits[:measured]), truths >= 0
    right, float_right = ((answers[:measured] == truths)[known] for answers in (run.logits.argmax(1), of_float))
    return ExportReport(
        bundle=bundle,
        pictures=len(pixels),
        measured=measured,
        labelled=int(known.sum()),
        held_out=held_back,
        agreement=found.agreement,
        float_accuracy=float(float_right.mean()) if known.any() else None,
        bundle_accuracy=float(right.mean()) if known.any() else None,
        model_bytes=len(program),
        error=found.error,
        difference=paired_difference(right, float_right) if known.any() else None,
        latency_ms=run.latency_ms,
        float_layers=len(quantised.float_layers) if quantised else 0,
        spared=quantised.float_layers if quantised else (),
        losses=quantised.losses if quantised else (),
        outside=lowered.outside,
    )


def _read(
    images: Iterable[Image | LabelledImage], spec: InputSpec, labels: Sequence[str], what: str, show: Progress
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[Image]]:
    """Pictures at the input's size, `uint8 (N, H, W, 3)`, and their classes, -1 where unknown; one at a time.

    The first ones also as a bundle's golden picture.
    """
    of, meaning = length_hint(images), meaning_in(labels)
    pixels, truths = [], []
    whole: list[Image] = []
    for picture in images:
        image, folder = (picture.image, picture.label) if isinstance(picture, LabelledImage) else (picture, None)
        pixels.append(prepare(image, spec))
        if len(whole) < _WHOLE:
            whole.append(golden_picture(image, spec))
        label = meaning(folder)
        truths.append(labels.index(label) if label in labels else -1)
        show(what, len(pixels), of)
    shape = (0, spec.height, spec.width, 3)
    return np.stack(pixels) if pixels else np.empty(shape, np.uint8), np.array(truths, np.int64), whole


def _silent(what: str, done: int, of: int) -> None:
    pass


def _of(what: str, show: Progress) -> Callable[[int, int], None]:
    return lambda done, of: show(what, done, of)


def _check_outputs(module: nn.Module, pixels: NDArray[np.uint8], spec: InputSpec, labels: Sequence[str]) -> None:
    with torch.inference_mode():
        shape = tuple(module(example(pixels, spec)).shape)
    if shape != (1, len(labels)):
        raise WorkbenchError(f"expected a network that gives (1, {len(labels)}) logits, one per label; got {shape}")


def _margins(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    ordered = np.sort(logits, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def _output_step(captured: Any) -> float:
    """The quantisation step of the logits; 0 where they are not quantised."""
    steps = [
        float(node.args[1])
        for node in captured.graph.nodes
        if node.op == "call_function" and "dequantize_per_tensor" in str(node.target)
    ]
    return steps[-1] if steps else 0.0
