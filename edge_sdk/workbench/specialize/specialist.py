"""Specialisation: from a big model, a few pictures of a task and a target to a bundle for the device, with a report.

After "Vision Models Can Be Efficiently Specialized via Few-Shot Task-Aware Compression" (TACO, Kuznedelev et al.,
arXiv 2303.14409), with its control: the same compression on as many generic pictures.
"""

from __future__ import annotations

import copy
import hashlib
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch
from msgspec.structs import replace as replace_fields
from torch import nn

from edge_sdk.durable.files import write_whole
from edge_sdk.model.bundle import Bundle, InputSpec
from edge_sdk.networks.checkpoint import CheckpointInfo, save_checkpoint
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize.allocate import Limits, Sensitivity
from edge_sdk.workbench.specialize.answers import accuracy
from edge_sdk.workbench.specialize.bundles import Bundles, bundle_accuracy, packed_bytes, time_bundles
from edge_sdk.workbench.specialize.compress import compress, find_sensitivities, measure_and_compress
from edge_sdk.workbench.specialize.cost import check_cut
from edge_sdk.workbench.specialize.fingerprint import contents, fingerprint, weights
from edge_sdk.workbench.specialize.limits import counted_limits, find_limits
from edge_sdk.workbench.specialize.method import Compressed, Method
from edge_sdk.workbench.specialize.progress import OnProgress
from edge_sdk.workbench.specialize.report import Report, Stage
from edge_sdk.workbench.specialize.restrict_head import Summed, classifier, restrict
from edge_sdk.workbench.specialize.samples import Samples, members_of, with_views
from edge_sdk.workbench.specialize.sparsify import round_weights
from edge_sdk.workbench.specialize.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class Specialist:
    """The result of a specialisation.

    Attributes:
        bundle: for the device.
        checkpoint: the small network before quantisation, a `.safetensors` file.
        module: the small network.
        info: its description.
        report: its cost and accuracy.
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
        out: the bundle's folder. Beside it are written `OUT.safetensors` and `OUT-work`, from which the same call
            resumes.
        targets: upper limits on the cost of the result; all hold.
        generic: as many pictures that are not of the task in particular, for the control; None leaves it out.
        test: test pictures; None: no accuracy is measured.
        mapping: from the big model's class to the task's, where names differ or several become one.
        method: the settings.
        name: of the model; default: the folder's.
        allow: operators that may stay outside XNNPACK though they are heavy.
        on_progress: called with each step's name and progress.

    Raises:
        WorkbenchError: the big model lacks a class, a target cannot be reached (the message gives the nearest possible
            value), or the network cannot be traced or exported.
        BundleError: `out` cannot be written.
    """
    began, method, out = time.monotonic(), method or Method(), Path(out)
    spec = info.input
    members = members_of(task.labels, info.labels, mapping or {})
    whole = restrict(big, members)
    teacher = whole if all(len(group) == 1 for group in members) else Summed(big, members)
    work = out.with_name(f"{out.name}-work")
    folder = work / fingerprint(info.arch, info.version, weights(big), contents(task), method)
    bundles = Bundles(task, spec, allow)
    stages = _Stages(spec, test, sparse=method.pattern != "structured")
    stages.add("big, restricted to the task", whole)

    @cache
    def big_bundle() -> Bundle:
        return bundles.write(whole, folder / "big", "big")

    sensitivities: Mapping[str, Sensitivity] = {}
    if method.pattern == "structured":
        structure = find_structure(whole, spec.width, spec.height)
        check_cut(whole, structure, spec.width, spec.height)
        sensitivities = find_sensitivities(whole, structure, task, spec, method, folder / "round-0", on_progress)
        limits = find_limits(
            whole,
            structure,
            sensitivities,
            spec,
            targets,
            bundles,
            big_bundle,
            file=folder / f"limits-{fingerprint(*targets)}.json",
            on_try=None if on_progress is None else partial(on_progress, "find a shape"),
        )
    else:
        limits = counted_limits(whole, spec, targets)
    small = compress(
        whole,
        teacher,
        task,
        spec,
        limits,
        method,
        sensitivities=sensitivities,
        folder=folder / fingerprint(limits),
        on_progress=on_progress,
        on_stage=stages.add,
    )
    control = None
    if generic is not None:
        _, head = classifier(small.module)
        wider = (len(info.labels) - len(task.labels)) * head.in_features
        control = _control(big, info, generic, members, _widened(limits, wider), method, work, stages, on_progress)
    small = rounded(small, task, spec, method, folder / fingerprint(limits) / "rounded.pt")
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
    bundle = bundles.write(small.module, out, name or out.resolve().name, _version(checkpoint))
    written = stages.bundles(bundles, folder, {0: big_bundle(), len(stages.found) - 1: bundle})
    latencies = time_bundles(written)
    told = tuple(
        replace_fields(stage, model_bytes=written[key].model_path.stat().st_size, latency_ms=latencies[key])
        for stage, key in zip(stages.found, stages.keys, strict=True)
    )
    if on_progress is not None:
        on_progress("export and measure", 1, 1)
    report = Report(
        model=info.arch,
        task=task.labels,
        pictures=len(task),
        test_pictures=0 if test is None else len(test),
        targets=tuple(str(target) for target in targets),
        stages=told,
        control=control,
        bundle_accuracy=None if test is None else bundle_accuracy(bundle, test),
        big_bundle_accuracy=None if test is None else bundle_accuracy(big_bundle(), test),
        dense=small.dense,
        widths=small.widths,
        packed_bytes=packed_bytes(bundle),
        big_packed_bytes=packed_bytes(big_bundle()),
        seed=method.seed,
        seconds=time.monotonic() - began,
        peak_memory_bytes=peak_memory_bytes(),
    )
    return Specialist(bundle, checkpoint, small.module, described, report)


def peak_memory_bytes() -> int:
    """Peak memory of this process so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


class _Stages:
    """Cost and accuracy of each stage."""

    def __init__(self, spec: InputSpec, test: Samples | None, *, sparse: bool) -> None:
        self.found: list[Stage] = []
        self.keys: list[str] = []
        self._modules: dict[str, nn.Module] = {}
        self._spec, self._test, self._sparse = spec, test, sparse

    def add(self, name: str, module: nn.Module) -> None:
        self.found.append(self.judge(name, module))
        key = f"{count_parameters(module)}-{self.found[-1].macs}"
        self.keys.append(key)
        self._modules[key] = module

    def bundles(self, bundles: Bundles, folder: Path, known: Mapping[int, Bundle]) -> dict[str, Bundle]:
        """A bundle for each shape among the stages; `known` gives those of some stages, by index."""
        written = {self.keys[place]: bundle for place, bundle in known.items()}
        for number, (key, module) in enumerate(self._modules.items()):
            if key not in written:
                written[key] = bundles.write(module, folder / f"shape-{number}", f"shape-{number}", spare=False)
        return written

    def judge(self, name: str, module: nn.Module) -> Stage:
        right = None
        if self._test is not None:
            right = accuracy(module, self._test, self._spec)
        weights = (
            sum(int(parameter.count_nonzero()) for parameter in module.parameters())
            if self._sparse
            else count_parameters(module)
        )
        return Stage(name, weights, count_macs(module, self._spec.width, self._spec.height), right)


def _control(
    big: nn.Module,
    info: CheckpointInfo,
    generic: Samples,
    members: Sequence[Sequence[int]],
    limits: Limits,
    method: Method,
    work: Path,
    stages: _Stages,
    on_progress: OnProgress | None,
) -> Stage:
    """The control: the unrestricted model, compressed on generic pictures and only then restricted to the task."""

    def told(what: str, done: int, of: int) -> None:
        if on_progress is not None:
            on_progress(f"control: {what}", done, of)

    folder = work / fingerprint("generic", info.arch, info.version, weights(big), contents(generic), method)
    small = measure_and_compress(big, generic, info.input, limits, method, folder, on_progress=told)
    return stages.judge("control", restrict(small.module, members))


def _widened(limits: Limits, more: int) -> Limits:
    """Limits raised by the weights of the unrestricted head, which is removed at the end."""
    return Limits(
        None if limits.parameters is None else limits.parameters + more,
        None if limits.macs is None else limits.macs + more,
    )


def rounded(small: Compressed, task: Samples, spec: InputSpec, method: Method, path: Path) -> Compressed:
    """Weights rounded jointly to int8 steps, unless the method rounds to nearest or the network is sparse."""
    if method.rounding == "nearest" or small.masks:
        return small
    module = copy.deepcopy(small.module)
    if path.exists():
        module.load_state_dict(torch.load(path, weights_only=True))
    else:
        views = with_views(task, method.pictures, method.seed)
        module = round_weights(module, views, spec, damping=method.damping, seed=method.seed)
        write_whole(path, partial(torch.save, module.state_dict()))
    return replace(small, module=module)


def _version(checkpoint: Path) -> str:
    return hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:12]
