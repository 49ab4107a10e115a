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
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import Bundle, Golden, InputSpec, Manifest, write_bundle
from edge_sdk.model.little import LittleModel, prepare
from edge_sdk.model.policy import Policy
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.types import Image
from edge_sdk.workbench.labelled import LabelledImage
from edge_sdk.workbench.lowering import lower, quiet, replace_pooling
from edge_sdk.workbench.quantise import example, logits_of, quantise

_log = logging.getLogger(__name__)

MIN_SAME = 0.95
"""Share of the pictures on which the device's runtime must name the quantised network's class."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of an export.

    Attributes:
        bundle: the bundle that was written.
        pictures: number of calibration pictures.
        agreement: share of the pictures on which the bundle, in the device's runtime, names the float network's class.
        float_accuracy: share that the float network names rightly; None without labels.
        bundle_accuracy: the same for the bundle.
        model_bytes: size of `model.pte`.
        float_layers: number of last layers with weights that stayed in float32 in an int8 bundle.
    """

    bundle: Bundle
    pictures: int
    agreement: float
    float_accuracy: float | None
    bundle_accuracy: float | None
    model_bytes: int
    float_layers: int = 0


def export(
    module: nn.Module,
    images: Iterable[Image | LabelledImage],
    out: str | Path,
    *,
    labels: Sequence[str],
    input: InputSpec,
    name: str,
    version: str,
    fp32: bool = False,
    policy: Policy | None = None,
    allow: Sequence[str] = (),
    spare: bool = True,
    on_step: Callable[[str], None] | None = None,
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
        fp32: do not quantise.
        policy: for `policy.json`; None writes none: an exported bundle is to be calibrated.
        allow: operators that may stay outside XNNPACK though they are heavy, such as "native_layer_norm".
        spare: leave the last layers in float32 where int8 would cost the answers (`edge_sdk.workbench.quantise`).
        on_step: told what begins now.

    Raises:
        WorkbenchError: no pictures; outputs that do not fit the labels; a network that cannot be exported; a heavy
            operator that XNNPACK did not take, named with its module; or a bundle whose answers are not the network's.
        BundleError: `out` cannot be written.
    """
    tell = on_step or _log.info
    pictures = [picture if isinstance(picture, LabelledImage) else LabelledImage(picture, None) for picture in images]
    if not pictures:
        raise WorkbenchError("expected pictures to calibrate the quantisation on; got none")
    pixels = np.stack([prepare(picture.image, input) for picture in pictures])
    original = copy.deepcopy(module).eval()
    _check_outputs(original, pixels[:1], input, labels)
    wanted = logits_of(original, pixels, input).argmax(1)
    float_layers = 0
    tell("capturing the network")
    with quiet():
        lean = replace_pooling(copy.deepcopy(original))
        inputs = (example(pixels[:1], input),)
        captured = torch.export.export(lean, inputs, strict=False).module()
        if not fp32:
            tell(f"calibrating int8 on {len(pictures)} pictures")
            captured, float_layers = quantise(captured, pixels, input, wanted if spare else None)
            if float_layers:
                tell(f"int8 would cost this network its answers: its last {float_layers} layers stay in float32")
        tell("lowering to XNNPACK")
        program = lower(captured, inputs, allow)
    tell("checking the bundle in the device's runtime")
    expected = logits_of(captured, pixels, input)
    golden = int(np.argsort(_margins(expected))[len(expected) // 2])  # an ordinary picture
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
        made_with={package: importlib.metadata.version(package) for package in ("executorch", "torch", "torchao")},
    )
    with tempfile.TemporaryDirectory() as folder:
        trial = write_bundle(Path(folder) / "bundle", model=program, manifest=manifest, golden=pixels[golden])
        ran = _run(trial, pixels, expected, wanted)
    manifest = msgspec.structs.replace(
        manifest,
        golden=Golden(
            "golden.png",
            tuple(float(value) for value in ran[golden]),
            tolerance=max(0.02 * spread, 4 * _output_step(captured), 1e-3),
        ),
    )
    bundle = write_bundle(out, model=program, manifest=manifest, golden=pixels[golden], policy=policy)
    truths = np.array([labels.index(p.label) if p.label in labels else -1 for p in pictures])
    got = ran.argmax(1)
    known = truths >= 0
    return ExportReport(
        bundle=bundle,
        pictures=len(pictures),
        agreement=float((wanted == got).mean()),
        float_accuracy=float((wanted == truths)[known].mean()) if known.any() else None,
        bundle_accuracy=float((got == truths)[known].mean()) if known.any() else None,
        model_bytes=len(program),
        float_layers=float_layers,
    )


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


def _run(
    bundle: Bundle, pixels: NDArray[np.uint8], expected: NDArray[np.float32], wanted: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The device runtime's logits, `float32 (N, C)`; they must be those of the torch module that was lowered.

    A network that int8 has made undecided may name another class there, if only as often the float network's.
    """
    try:
        with LittleModel(bundle) as model:
            ran = np.stack([model.logits(image) for image in pixels])
    except RuntimeError as error:
        raise WorkbenchError(f"expected a program that the device's runtime runs: {error}") from error
    got, emulated = ran.argmax(1), expected.argmax(1)
    same = float((got == emulated).mean())
    if same < MIN_SAME and (got == wanted).mean() < (emulated == wanted).mean() - (1 - MIN_SAME):
        raise WorkbenchError(
            f"expected the device's runtime to name the quantised network's class on {MIN_SAME:.0%} of the pictures; "
            f"it does on {same:.1%}"
        )
    return ran
