"""Specialisation: from a big model, a few pictures of a task and a target to a bundle for the device, with a report.

After "Vision Models Can Be Efficiently Specialized via Few-Shot Task-Aware Compression" (TACO, Kuznedelev et al.,
arXiv 2303.14409), with its control: the same compression on as many generic pictures.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch
from msgspec.structs import asdict
from msgspec.structs import replace as replace_fields
from torch import nn

from edge_sdk.durable.files import write_whole
from edge_sdk.model.bundle import Bundle, InputSpec
from edge_sdk.networks.checkpoint import CheckpointInfo, save_checkpoint
from edge_sdk.networks.grouped import summed
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.types import View
from edge_sdk.workbench.cascade.paired import Difference, paired_difference
from edge_sdk.workbench.specialize.allocate import Limits, Sensitivity
from edge_sdk.workbench.specialize.bundles import Bundles, packed_bytes, right_of_bundle, time_bundles
from edge_sdk.workbench.specialize.compress import compress, find_sensitivities, measure_and_compress
from edge_sdk.workbench.specialize.cost import check_cut
from edge_sdk.workbench.specialize.fingerprint import contents, fingerprint, weights
from edge_sdk.workbench.specialize.limits import counted_limits, find_limits
from edge_sdk.workbench.specialize.method import Compressed, Method
from edge_sdk.workbench.specialize.progress import OnProgress, progress_of
from edge_sdk.workbench.specialize.report import Report, Stage
from edge_sdk.workbench.specialize.restrict_head import classifier, restrict_finely
from edge_sdk.workbench.specialize.samples import Samples, joined, members_of, with_views
from edge_sdk.workbench.specialize.sessions import note_settings
from edge_sdk.workbench.specialize.sparsify import round_weights
from edge_sdk.workbench.specialize.stages import Right, Stages
from edge_sdk.workbench.specialize.target import Target
from edge_sdk.workbench.spent import Account


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
    unlabelled: Samples | None = None,
    mapping: Mapping[str, str] | None = None,
    method: Method | None = None,
    name: str = "",
    allow: Sequence[str] = (),
    view: View = View.FRAME,
    on_progress: OnProgress | None = None,
) -> Specialist:
    """Make a small model for a task from a big one and a few pictures.

    Args:
        big: a timm network with one linear classifier.
        info: what it is.
        task: its few pictures, or looks at them, prepared for `info.input`; their labels are the task's classes.
        out: the bundle's folder. Beside it are written `OUT.safetensors` and `OUT-work`, from which the same call
            resumes.
        targets: upper limits on the cost of the result; all hold.
        generic: as many pictures that are not of the task in particular, for the control; None leaves it out.
        test: test pictures; of several looks at one the mean of the probabilities counts. None: no accuracy is
            measured.
        unlabelled: more pictures of the place for the distillation; their classes need not be known.
        mapping: from the big model's class to the task's, where names differ or several become one.
        method: the settings.
        name: of the model; default: the folder's.
        allow: operators that may stay outside XNNPACK though they are heavy.
        view: what of a frame the bundle is to look at, for its manifest.
        on_progress: called with each step's name and progress.

    Raises:
        WorkbenchError: the big model lacks a class, a target cannot be reached (the message gives the nearest possible
            value), or the network cannot be traced or exported.
        BundleError: `out` cannot be written.
    """
    method, out = method or Method(), Path(out)
    spec = info.input
    members = members_of(task.labels, info.labels, mapping or {})
    sums = tuple(len(group) for group in members)
    whole = restrict_finely(big, members)
    lessons = joined(task, unlabelled)
    work = out.with_name(f"{out.name}-work")
    folder = work / fingerprint(info.arch, info.version, weights(big), contents(lessons), task.labels, method)
    note_settings(folder, _settings(big, info, lessons, method))
    with Account(file=folder / "spent.json", keep=True) as account:
        on_progress = _accounted(on_progress, account)
        bundles = Bundles(task, spec, allow, on_progress, sums=sums, view=view)
        stages = Stages(spec, test, sparse=method.pattern != "structured", sums=sums, on_progress=on_progress)
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
                on_try=partial(on_progress, "find a shape"),
            )
        else:
            limits = counted_limits(whole, spec, targets)
        small = compress(
            whole,
            whole,
            task,
            spec,
            limits,
            method,
            sensitivities=sensitivities,
            folder=folder / fingerprint(limits),
            distilled_on=lessons,
            on_progress=on_progress,
            on_stage=stages.add,
        )
        control, control_right = None, None
        if generic is not None:
            _, head = classifier(small.module)
            wider = (len(info.labels) - sum(sums)) * head.in_features
            control, control_right = _control(
                big, info, generic, members, _widened(limits, wider), method, work, stages, on_progress
            )
        small = rounded(small, task, spec, method, folder / fingerprint(limits) / "rounded.pt", on_progress)
        on_progress("export and measure", 0, 1)
        module = summed(small.module, sums)
        described = CheckpointInfo(
            arch=info.arch,
            options=info.options,
            widths=small.widths,
            sums=sums if max(sums) > 1 else (),
            labels=task.labels,
            input=spec,
            macs=count_macs(small.module, spec.width, spec.height),
            parameters=count_parameters(small.module),
            training={"from": info.version, "pictures": task.count, "seed": method.seed},
        )
        checkpoint = save_checkpoint(out.with_name(f"{out.name}.safetensors"), module, described)
        bundle = bundles.write(small.module, out, name or out.resolve().name, _version(checkpoint))
        written = stages.bundles(bundles, folder, {0: big_bundle(), len(stages.found) - 1: bundle})
        latencies = time_bundles(written)
        told = tuple(
            replace_fields(stage, model_bytes=written[key].model_path.stat().st_size, latency_ms=latencies[key])
            for stage, key in zip(stages.found, stages.keys, strict=True)
        )
        on_progress("export and measure", 1, 1)
        right, big_right = (
            None if test is None else right_of_bundle(one, test, partial(on_progress, f"evaluate: {what}"))
            for one, what in ((bundle, "bundle"), (big_bundle(), "big model's bundle"))
        )
        spent = account.now()
        report = Report(
            model=info.arch,
            task=task.labels,
            pictures=task.count,
            unlabelled=len(lessons) - len(task),
            test_pictures=0 if test is None else test.count,
            targets=tuple(str(target) for target in targets),
            stages=told,
            control=control,
            bundle_accuracy=_share(right),
            big_bundle_accuracy=_share(big_right),
            against_big=_difference(right, stages.right[0]),
            against_control=_difference(stages.right[-1], control_right),
            dense=small.dense,
            widths=small.widths,
            packed_bytes=packed_bytes(bundle),
            big_packed_bytes=packed_bytes(big_bundle()),
            seed=method.seed,
            sessions=spent.sessions,
            seconds=spent.seconds,
            peak_memory_bytes=spent.peak_memory_bytes,
        )
    return Specialist(bundle, checkpoint, module, described, report)


def _control(
    big: nn.Module,
    info: CheckpointInfo,
    generic: Samples,
    members: Sequence[Sequence[int]],
    limits: Limits,
    method: Method,
    work: Path,
    stages: Stages,
    on_progress: OnProgress,
) -> tuple[Stage, Right | None]:
    """The control: the unrestricted model, compressed on generic pictures and only then restricted to the task."""

    def told(what: str, done: int, of: int) -> None:
        on_progress(f"control: {what}", done, of)

    folder = work / fingerprint("generic", info.arch, info.version, weights(big), contents(generic), method)
    small = measure_and_compress(big, generic, info.input, limits, method, folder, on_progress=told)
    return stages.judge("control", restrict_finely(small.module, members))


def _settings(big: nn.Module, info: CheckpointInfo, task: Samples, method: Method) -> dict[str, str]:
    """What the folder of the state depends on, in words."""
    values = {**asdict(method), **{f"recipe {name}": value for name, value in asdict(method.recipe).items()}}
    values.pop("recipe")
    return {
        "big model": f"{info.arch} {info.version} {weights(big)[:8]}",
        "pictures of the task": f"{len(task)} of {', '.join(task.labels)} {contents(task)[:8]}",
        **{name: str(value) for name, value in values.items()},
    }


def _accounted(on_progress: OnProgress | None, account: Account) -> OnProgress:
    """Progress that also writes what the session has cost so far."""

    def told(what: str, done: int, of: int) -> None:
        account.note()
        if on_progress is not None:
            on_progress(what, done, of)

    return told


def _share(right: Right | None) -> float | None:
    return None if right is None else float(right.mean())


def _difference(right: Right | None, other: Right | None) -> Difference | None:
    return None if right is None or other is None else paired_difference(right, other)


def _widened(limits: Limits, more: int) -> Limits:
    """Limits raised by the weights of the unrestricted head, which is removed at the end."""
    return Limits(
        None if limits.parameters is None else limits.parameters + more,
        None if limits.macs is None else limits.macs + more,
    )


def rounded(
    small: Compressed, task: Samples, spec: InputSpec, method: Method, path: Path, on_progress: OnProgress | None = None
) -> Compressed:
    """Weights rounded jointly to int8 steps, unless the method rounds to nearest or the network is sparse."""
    if method.rounding == "nearest" or small.masks:
        return small
    module = copy.deepcopy(small.module)
    if path.exists():
        module.load_state_dict(torch.load(path, weights_only=True))
    else:
        views = with_views(task, method.pictures, method.seed)
        told = progress_of(on_progress, "round the weights")
        module = round_weights(module, views, spec, damping=method.damping, seed=method.seed, on_part=told)
        write_whole(path, partial(torch.save, module.state_dict()))
    return replace(small, module=module)


def _version(checkpoint: Path) -> str:
    return hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:12]
