"""The whole way: a big model, a few pictures of a task and a target become a bundle for the device, with a report.

After "Vision Models Can Be Efficiently Specialized via Few-Shot Task-Aware Compression" (TACO, Kuznedelev et al.,
arXiv 2303.14409), with its control: the same compression on as many generic pictures.
"""

from __future__ import annotations

import copy
import hashlib
import resource
import sys
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edge_sdk.bundle import Bundle, InputSpec
from edge_sdk.errors import WorkbenchError
from edge_sdk.model import LittleModel
from edge_sdk.types import Image
from edge_sdk.workbench.checkpoint import CheckpointInfo, save_checkpoint
from edge_sdk.workbench.export import export
from edge_sdk.workbench.macs import count_macs, count_parameters
from edge_sdk.workbench.specialize.allocate import Damage, Limits, allocate, least_of
from edge_sdk.workbench.specialize.compress import (
    Compressed,
    Method,
    OnProgress,
    OnStage,
    answers,
    compress,
    fingerprint,
    weigh,
)
from edge_sdk.workbench.specialize.cost import Cost, Numbers, check_cut
from edge_sdk.workbench.specialize.head import Summed, restrict
from edge_sdk.workbench.specialize.report import Report, Stage
from edge_sdk.workbench.specialize.samples import Samples, members_of, with_views
from edge_sdk.workbench.specialize.sparsify import round_weights
from edge_sdk.workbench.specialize.structure import Structure, find_structure, shrink
from edge_sdk.workbench.specialize.target import Target

_TRIES = 6
_CLOSE = 0.9  # of a measured target: near enough
_RUNS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Specialist:
    """What came of it.

    Attributes:
        bundle: for the device.
        checkpoint: the small network in torch's numbers, a `.safetensors` file.
        module: the small network.
        info: what it is.
        report: what it costs and how good it is.
    """

    bundle: Bundle
    checkpoint: Path
    module: nn.Module
    info: CheckpointInfo
    report: Report


def specialize(
    big: nn.Module,
    info: CheckpointInfo,
    task: Samples,
    out: str | Path,
    *,
    targets: Sequence[Target],
    generic: Samples | None = None,
    test: Samples | None = None,
    mapping: Mapping[str, str] | None = None,
    method: Method | None = None,
    name: str = "",
    allow: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> Specialist:
    """Make a small model for a task from a big one and a few pictures.

    Args:
        big: a timm network with one linear classifier.
        info: what it is.
        task: its few pictures, prepared for `info.input`; their labels are the task's classes.
        out: the bundle's folder. Beside it come `OUT.safetensors` and `OUT-work`, from which the same call goes on.
        targets: what the result may cost; all hold.
        generic: as many pictures that are not of the task in particular, for the control; None leaves it out.
        test: pictures to judge on; None judges nothing.
        mapping: the big model's class -> the task's, where several are one or the names differ.
        method: how.
        name: of the model; default: the folder's.
        allow: operators that may stay outside XNNPACK though they are heavy.
        on_progress: told of progress.

    Raises:
        WorkbenchError: a class that the big model does not know, a target that cannot be reached (the nearest possible
            is named), a network that cannot be traced or exported.
        BundleError: `out` cannot be written.
    """
    began, method, out = time.monotonic(), method or Method(), Path(out)
    spec = info.input
    members = members_of(task.labels, info.labels, mapping or {})
    whole = restrict(big, members)
    teacher = whole if all(len(group) == 1 for group in members) else Summed(big, members)
    work = out.with_name(f"{out.name}-work")
    folder = work / fingerprint(info.arch, info.version, _digest(big), _contents(task), method)
    runtime = _Runtime(whole, spec, task, folder, allow)
    stages = _Stages(spec, test, sparse=method.pattern != "structured")
    stages.add("big, restricted to the task", whole)
    if method.pattern == "structured":
        structure = find_structure(whole, spec.width, spec.height)
        check_cut(whole, structure, spec.width, spec.height)
        damages = weigh(whole, structure, task, spec, method, folder / "round-0", on_progress)
        limits = _limits(whole, structure, damages, spec, targets, runtime, on_progress)
    else:
        damages, limits = {}, _plain_limits(whole, spec, targets)
    small = compress(
        whole,
        teacher,
        task,
        spec,
        limits,
        method,
        damages=damages,
        folder=folder / fingerprint(limits),
        on_progress=on_progress,
        on_stage=stages.add,
    )
    control = _control(big, info, generic, members, limits, method, work, stages, on_progress)
    small = _rounded(small, task, spec, method, folder / fingerprint(limits) / "rounded.pt")
    if on_progress is not None:
        on_progress("export and measure", 0, 1)
    described = CheckpointInfo(
        arch=info.arch,
        options=info.options,
        widths=small.widths,
        labels=task.labels,
        input=spec,
        macs=count_macs(small.module, spec.width, spec.height),
        parameters=count_parameters(small.module),
        training={"from": info.version, "pictures": len(task), "seed": method.seed},
    )
    checkpoint = save_checkpoint(out.with_name(f"{out.name}.safetensors"), small.module, described)
    bundle = _export(small.module, task, spec, out, name or out.resolve().name, _version(checkpoint), allow)
    latencies = time_bundles({"big": runtime.whole(), "small": bundle})
    if on_progress is not None:
        on_progress("export and measure", 1, 1)
    report = Report(
        model=info.arch,
        task=task.labels,
        pictures=len(task),
        test_pictures=0 if test is None else len(test),
        targets=tuple(str(target) for target in targets),
        stages=tuple(stages.found),
        control=control,
        bundle_accuracy=None if test is None else _accuracy(bundle, test),
        big_bundle_accuracy=None if test is None else _accuracy(runtime.whole(), test),
        model_bytes=bundle.model_path.stat().st_size,
        big_model_bytes=runtime.whole().model_path.stat().st_size,
        latency_ms=latencies["small"],
        big_latency_ms=latencies["big"],
        dense=small.dense,
        widths=small.widths,
        packed_bytes=_packed(bundle),
        big_packed_bytes=_packed(runtime.whole()),
        seed=method.seed,
        seconds=time.monotonic() - began,
        peak_memory_bytes=peak_memory_bytes(),
    )
    return Specialist(bundle, checkpoint, small.module, described, report)


def time_bundles(bundles: Mapping[str, Bundle]) -> dict[str, float]:
    """Median time of one forward pass of each, milliseconds, one thread, in the device's runtime; taken in turns."""
    models = {name: LittleModel(bundle) for name, bundle in bundles.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    try:
        pictures = {
            name: np.zeros((model.manifest.input.height, model.manifest.input.width, 3), np.uint8)
            for name, model in models.items()
        }
        for _ in range(_RUNS):
            for name, model in models.items():
                start = time.perf_counter()
                model.logits(pictures[name])
                times[name].append(time.perf_counter() - start)
    finally:
        for model in models.values():
            model.close()
    return {name: 1e3 * float(np.median(values[3:])) for name, values in times.items()}


def peak_memory_bytes() -> int:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


class _Stages:
    """What each stage costs and how often it is right."""

    def __init__(self, spec: InputSpec, test: Samples | None, *, sparse: bool) -> None:
        self.found: list[Stage] = []
        self._spec, self._test, self._sparse = spec, test, sparse

    def add(self, name: str, module: nn.Module) -> None:
        self.found.append(self.judge(name, module))

    def judge(self, name: str, module: nn.Module) -> Stage:
        right = None
        if self._test is not None:
            named = answers(module, self._test, self._spec).argmax(1).numpy()
            right = float((named == self._test.truths).mean())
        weights = (
            sum(int(parameter.count_nonzero()) for parameter in module.parameters())
            if self._sparse
            else count_parameters(module)
        )
        return Stage(name, weights, count_macs(module, self._spec.width, self._spec.height), right)


class _Runtime:
    """Exports of shapes, to be timed and weighed; the whole network's is kept."""

    def __init__(self, whole: nn.Module, spec: InputSpec, samples: Samples, folder: Path, allow: Sequence[str]) -> None:
        self._whole, self._spec, self._samples = whole, spec, samples
        self._folder, self._allow = folder, allow
        self._bundle: Bundle | None = None

    def whole(self) -> Bundle:
        if self._bundle is None:
            target = self._folder / "big"
            self._bundle = _export(self._whole, self._samples, self._spec, target, "big", "", self._allow)
        return self._bundle

    def measure(self, numbers: Numbers) -> tuple[float, int]:
        """Milliseconds and bytes of the network with so many channels; its weights do not matter."""
        shape = copy.deepcopy(self._whole)
        shrink(shape, self._spec.width, self._spec.height, numbers)
        with tempfile.TemporaryDirectory() as folder:
            few = Samples(self._samples.images[:8], self._samples.truths[:8], self._samples.labels)
            bundle = _export(shape, few, self._spec, Path(folder) / "shape", "shape", "", self._allow, trial=True)
            return time_bundles({"": bundle})[""], bundle.model_path.stat().st_size


def _limits(
    whole: nn.Module,
    structure: Structure,
    damages: Mapping[str, Damage],
    spec: InputSpec,
    targets: Sequence[Target],
    runtime: _Runtime,
    on_progress: OnProgress | None,
) -> Limits:
    """Parameters and MACs that meet the targets; those on time and bytes are met by exporting shapes and measuring."""
    cost = Cost(whole, structure, spec.width, spec.height)
    parameters: float | None = None
    macs: float | None = None
    measured: list[tuple[str, float]] = []
    for target in targets:
        if target.measure == "params":
            parameters = target.limit(cost.parameters)
        elif target.measure == "macs":
            macs = target.limit(cost.macs)
        elif target.measure == "size":
            measured.append(("bytes", target.limit(runtime.whole().model_path.stat().st_size)))
        else:
            whole_ms = time_bundles({"": runtime.whole()})[""] if target.relative else 0.0
            measured.append(("ms", target.limit(whole_ms)))
    limits = Limits(None if parameters is None else int(parameters), None if macs is None else int(macs))
    groups = structure.groups
    allocate(cost, groups, damages, limits)  # refuses what cannot be
    if not measured:
        return limits
    least = {group.name: least_of(group) for group in groups}
    floor = dict(zip(("ms", "bytes"), runtime.measure(least), strict=True))
    impossible = [(what, limit) for what, limit in measured if floor[what] > limit]
    if impossible:
        text = " and ".join(f"{limit:.3g} {what} (nearest possible: {floor[what]:.3g})" for what, limit in impossible)
        raise WorkbenchError(f"expected a target that this network can reach; got {text}")
    best: Limits | None = None
    for attempt in range(_TRIES):
        if on_progress is not None:
            on_progress("find a shape", attempt, _TRIES)
        numbers = allocate(cost, groups, damages, limits)
        now = dict(zip(("ms", "bytes"), runtime.measure(numbers), strict=True))
        shares = {what: now[what] / limit for what, limit in measured}
        if max(shares.values()) <= 1:
            best = limits
            if max(shares.values()) >= _CLOSE or attempt == 0:
                break
        spent = cost.of(numbers)
        limits = Limits(
            _scaled(limits.parameters, spent[0], shares.get("bytes")), _scaled(limits.macs, spent[1], shares.get("ms"))
        )
    if best is None:
        raise WorkbenchError(f"expected to meet {measured} in {_TRIES} tries; the last came to {now}")
    return best


def _plain_limits(whole: nn.Module, spec: InputSpec, targets: Sequence[Target]) -> Limits:
    """Parameters and MACs as the targets name them.

    Raises:
        WorkbenchError: a target on time or bytes.
    """
    found: dict[str, int] = {}
    for target in targets:
        if target.measure not in ("params", "macs"):
            raise WorkbenchError(f"expected a target on params or macs with this pattern; got {target}")
        found[target.measure] = int(
            target.limit(
                count_parameters(whole) if target.measure == "params" else count_macs(whole, spec.width, spec.height)
            )
        )
    return Limits(found.get("params"), found.get("macs"))


def _scaled(limit: int | None, spent: int, share: float | None) -> int | None:
    """A limit that should bring a measured share to just below 1."""
    if share is None:
        return limit
    return int(min(spent * 0.97 / share, limit if limit is not None and share < 1 / _CLOSE else np.inf) or 1)


def _control(
    big: nn.Module,
    info: CheckpointInfo,
    generic: Samples | None,
    members: Sequence[Sequence[int]],
    limits: Limits,
    method: Method,
    work: Path,
    stages: _Stages,
    on_progress: OnProgress | None,
) -> Stage | None:
    """The same compression of the unrestricted model on generic pictures, restricted to the task only then."""
    if generic is None:
        return None

    def told(what: str, done: int, of: int) -> None:
        if on_progress is not None:
            on_progress(f"control: {what}", done, of)

    return stages.judge(
        "control", restrict(compress_generic(big, info, generic, limits, method, work, told).module, members)
    )


def compress_generic(
    big: nn.Module,
    info: CheckpointInfo,
    generic: Samples,
    limits: Limits,
    method: Method,
    work: Path,
    on_progress: OnProgress | None = None,
    on_stage: OnStage | None = None,
) -> Compressed:
    """Compress a model with all its classes on pictures of no task in particular; arguments as for `compress`."""
    spec = info.input
    folder = work / fingerprint("generic", info.arch, info.version, _digest(big), _contents(generic), method)
    whole = copy.deepcopy(big).eval()
    structure = find_structure(whole, spec.width, spec.height)
    damages = {}
    if method.pattern == "structured":
        damages = weigh(whole, structure, generic, spec, method, folder / "round-0", on_progress)
    return compress(
        whole,
        whole,
        generic,
        spec,
        limits,
        method,
        damages=damages,
        folder=folder / fingerprint(limits),
        on_progress=on_progress,
        on_stage=on_stage,
    )


def _export(
    module: nn.Module,
    samples: Samples,
    spec: InputSpec,
    out: Path,
    name: str,
    version: str,
    allow: Sequence[str],
    *,
    trial: bool = False,
) -> Bundle:
    """An int8 bundle, calibrated on the samples and their mirror images."""
    pictures: list[Image] = list(samples.images)
    if not trial:
        pictures += [np.ascontiguousarray(image[:, ::-1]) for image in samples.images]
    return export(
        module, pictures, out, labels=samples.labels, input=spec, name=name, version=version or "0", allow=allow
    ).bundle


def _accuracy(bundle: Bundle, test: Samples) -> float:
    with LittleModel(bundle) as model:
        named = np.array([model.logits(image).argmax() for image in test.images])
    return float((named == test.truths).mean())


def _rounded(small: Compressed, task: Samples, spec: InputSpec, method: Method, path: Path) -> Compressed:
    """Rounded to int8 steps jointly, where the method says so and no zeros would be lost by it."""
    if method.rounding == "nearest" or small.masks:
        return small
    module = copy.deepcopy(small.module)
    if path.exists():
        module.load_state_dict(torch.load(path, weights_only=True))
    else:
        views = with_views(task, method.pictures, method.seed)
        module = round_weights(module, views, spec, damping=method.damping, seed=method.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)
    return replace(small, module=module)


def _packed(bundle: Bundle) -> int:
    return len(zlib.compress(bundle.model_path.read_bytes(), 9))


def _contents(samples: Samples) -> str:
    digest = hashlib.sha256(samples.images.tobytes())
    digest.update(samples.truths.tobytes())
    return digest.hexdigest()


def _digest(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for value in module.state_dict().values():
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _version(checkpoint: Path) -> str:
    return hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:12]
