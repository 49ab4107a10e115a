"""A bundle's network, in a runtime: a picture of any size in, the network's numbers out.

The runtime is checked against the bundle's golden picture before anything else is run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import BundleError
from edge_sdk.images.scale import with_whole_rows
from edge_sdk.model.bundle import Bundle, Task, read_golden
from edge_sdk.model.default_runtime import default_runtime
from edge_sdk.model.inputs import InputSpec, pixels_digest, place, prepare
from edge_sdk.model.runtime import Program, Runtime, ScalingProgram
from edge_sdk.types import Image, check_pixels

_Run = Callable[[Image], NDArray[np.float32]]


class Network:
    """The network of a bundle, loaded and checked.

    Args:
        bundle: the bundle.
        threads: processor threads that one forward pass uses.
        runtime: what runs it; None: ExecuTorch.

    Attributes:
        runtime: name of what runs it here.
        run: the outputs, `float32 (N,)`, on a picture of any size, `uint8 (H, W, 3)` RGB.

    Raises:
        BundleError: the bundle is for another runtime, does not fit its program, or this processor computes wrong
            results (the golden picture's output differs).
        ConfigError: `threads` cannot be had.
        RuntimeMissing: neither the compiled runtime nor the executorch package is installed.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1, runtime: Runtime | None = None) -> None:
        runner = default_runtime() if runtime is None else runtime
        if runner.format != bundle.manifest.format:
            raise BundleError(
                f"{bundle.path}: expected a bundle of format {runner.format!r}, which the runtime {runner.name!r} "
                f"runs; got {bundle.manifest.format!r}, which needs a runtime of its own (runtime=...)"
            )
        self.runtime = runner.name
        program = runner.load(bundle.model_path, bundle.manifest.input, threads)
        self.run = _from_any_size(program, bundle.manifest.input)
        _check_fit(bundle, program, self.run)


def _from_any_size(program: Program, spec: InputSpec) -> _Run:
    if spec.scaling == 1 or not isinstance(program, ScalingProgram):
        return lambda image: program.forward(prepare(image, spec))
    scaling, fill = program, spec.fill

    def run(image: Image) -> NDArray[np.float32]:
        cut, *part = place(check_pixels(image), spec)
        return scaling.forward_scaled(with_whole_rows(cut), part, fill)

    return run


def _check_fit(bundle: Bundle, program: Program, run: _Run) -> None:
    manifest, path = bundle.manifest, bundle.model_path
    if (program.width, program.height) != (manifest.input.width, manifest.input.height):
        raise BundleError(
            f"{path}: expected an input of {manifest.input.width}x{manifest.input.height} as the manifest says; "
            f"got {program.width}x{program.height}"
        )
    outputs, is_classifier = len(manifest.golden.logits), manifest.task is Task.CLASSIFY
    if program.outputs != outputs:
        what = "one per label" if is_classifier else "as `golden.logits` has"
        raise BundleError(f"{path}: expected {outputs} outputs, {what}; got {program.outputs}")
    golden = read_golden(bundle)
    digest = pixels_digest(golden, manifest.input)
    if manifest.golden.pixels not in ("", digest):
        raise BundleError(
            f"{path}: this install scales pictures wrongly: for {manifest.golden.image} expected pixels with sha256 "
            f"{manifest.golden.pixels}; got {digest}. Build edge_sdk anew (edge_sdk/native)"
        )
    expected = np.array(manifest.golden.logits, np.float32)
    differences = np.abs(run(golden) - expected)
    worst = int(differences.argmax())  # a NaN counts as the largest
    if not differences[worst] <= manifest.golden.tolerance:
        which = f"logit of {manifest.labels[worst]!r}" if is_classifier else f"output {worst}"
        raise BundleError(
            f"{path}: the runtime computes wrong results on this processor: for {manifest.golden.image} expected the "
            f"{which} within {manifest.golden.tolerance:.4g} of {expected[worst]:.4g}; "
            f"it is {differences[worst]:.4g} off"
        )
