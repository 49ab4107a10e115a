"""The way from a dense network to a small one on the task's samples: cut, refit, correct, teach; once or gradually."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import torch
from torch import Tensor, nn

from edge_sdk.bundle import InputSpec
from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.macs import count_parameters
from edge_sdk.workbench.specialize.allocate import Damage, Limits, allocate, allocate_evenly
from edge_sdk.workbench.specialize.cost import Cost
from edge_sdk.workbench.specialize.damage import divergence, measure_damage
from edge_sdk.workbench.specialize.head import classifier
from edge_sdk.workbench.specialize.layers import forward_order
from edge_sdk.workbench.specialize.recover import Recipe, correct_statistics, make_lessons, teach
from edge_sdk.workbench.specialize.refit import refit_layers
from edge_sdk.workbench.specialize.samples import Samples, first, with_views
from edge_sdk.workbench.specialize.sparsify import MOST, parse_pattern, prunable_weights, sparsify
from edge_sdk.workbench.specialize.structure import Kept, Structure, find_structure, prune
from edge_sdk.workbench.whole_file import write_whole

_COMPARED = 128

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how many parts of it are done, and how many there are."""

OnStage = Callable[[str, nn.Module], None]
"""Called with the name of a stage that has been reached and the network as it is then."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """How a network is cut.

    Attributes:
        pattern: "structured" removes channels, hidden units and heads; "unstructured" and "N:M" set weights to zero.
        allocation: "error": groups give up channels where it hurts the answers least; "even": the same share of each.
        schedule: "once", or "gradual": half of the remaining weights a round, each followed by lessons.
        pictures: that layers are solved on: the samples and changed views of them, until there are so many. Half as
            many weigh channels, where only an order is wanted.
        rounding: "joint": the bundle's int8 weights are rounded one after the other, each making up for the last;
            "nearest": as the exporter does.
        damping: share of the mean diagonal that is added to Hessians; more trusts the few samples less.
        recipe: of the lessons.
        seed: of all choices.
    """

    pattern: str = "structured"
    allocation: Literal["error", "even"] = "error"
    schedule: Literal["once", "gradual"] = "once"
    rounding: Literal["joint", "nearest"] = "joint"
    pictures: int = 400
    damping: float = 0.01
    recipe: Recipe = Recipe()
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Compressed:
    """A cut network.

    Attributes:
        module: the smaller dense network, in eval mode.
        widths: channels of each group that stayed.
        dense: layers that were left whole, and why.
        masks: of a sparse network: True where a weight may be other than zero.
    """

    module: nn.Module
    widths: dict[str, int]
    dense: dict[str, str]
    masks: Mapping[str, Tensor] = field(default_factory=dict)


def compress(
    whole: nn.Module,
    teacher: nn.Module,
    samples: Samples,
    spec: InputSpec,
    limits: Limits,
    method: Method,
    *,
    damages: Mapping[str, Damage],
    folder: Path,
    on_progress: OnProgress | None = None,
    on_stage: OnStage | None = None,
) -> Compressed:
    """Cut a network down to the limits on a few samples, so that its answers on them stay.

    Args:
        whole: in eval mode, with the head of the task; it is not changed.
        teacher: gives logits of the same classes; its layers are named as those of `whole`.
        samples: of the task.
        spec: what they take.
        limits: what the result may cost.
        method: how.
        damages: of removing channels of `whole` (`weigh`); later rounds weigh anew, and patterns of zeros need none.
        folder: keeps what is done; the same call goes on from it.
        on_progress: told of progress.
        on_stage: told of stages.

    Raises:
        WorkbenchError: limits that cannot be met.
    """
    if method.pattern != "structured":
        return _compress_sparse(
            whole, teacher, samples, spec, limits, method, folder=folder, on_progress=on_progress, on_stage=on_stage
        )
    current = copy.deepcopy(whole).eval()
    origin: dict[str, Tensor] = {}
    structure = find_structure(current, spec.width, spec.height)
    solved_on = with_views(samples, method.pictures, method.seed)
    rounds = _rounds(Cost(current, structure, spec.width, spec.height), limits, method)
    for number, limit in enumerate(rounds):
        place = folder / f"round-{number}"
        if number:
            structure = find_structure(current, spec.width, spec.height)
            damages = weigh(current, structure, samples, spec, method, place, on_progress)
        kept = _choose(current, structure, damages, spec, limit, method)
        cut = copy.deepcopy(current)
        prune(cut, spec.width, spec.height, kept)
        _tell(on_stage, _named("cut", number, rounds), cut)
        refit_layers(
            current,
            cut,
            structure,
            kept,
            solved_on,
            spec,
            damping=method.damping,
            folder=place,
            seed=method.seed,
            on_part=_progress(on_progress, "refit layer by layer"),
        )
        _tell(on_stage, _named("refit", number, rounds), cut)
        cut = _nearer(current, cut, kept, solved_on, spec)
        _tell(on_stage, _named("statistics", number, rounds), cut)
        for name, chosen in kept.items():
            origin[name] = origin[name][chosen] if name in origin else chosen
        if method.recipe.steps:
            _teach(whole, teacher, cut, origin, samples, spec, method, place, on_progress)
            _tell(on_stage, _named("lessons", number, rounds), cut)
        current = cut
    return Compressed(current, {name: len(kept) for name, kept in origin.items()}, structure.dense)


def _compress_sparse(
    whole: nn.Module,
    teacher: nn.Module,
    samples: Samples,
    spec: InputSpec,
    limits: Limits,
    method: Method,
    *,
    folder: Path,
    on_progress: OnProgress | None = None,
    on_stage: OnStage | None = None,
) -> Compressed:
    """Set weights to zero until `limits.parameters` are left, or as the pattern says; arguments as for `compress`.

    A gradual schedule halves what remains in each round, with lessons between that leave the zeros alone.

    Raises:
        WorkbenchError: a target that zeros cannot reach.
    """
    pattern = parse_pattern(method.pattern)
    samples_and_views = with_views(samples, method.pictures, method.seed)
    possible, total = prunable_weights(whole, spec), count_parameters(whole)
    wanted = 1.0 - pattern[0] / pattern[1] if pattern else 0.0
    if limits.macs is not None or (pattern is not None) == (limits.parameters is not None):
        raise WorkbenchError(
            "expected params= as the only target of an unstructured pattern, and no target beside an N:M pattern: "
            "zeros make a packed file smaller, not a network faster"
        )
    if limits.parameters is not None:
        wanted = (total - limits.parameters) / possible
        if wanted > MOST:
            least = total - round(MOST * possible)
            raise WorkbenchError(
                f"expected a target that this network can reach; got {limits.parameters:,} parameters. The nearest "
                f"possible is {least:,} ({total / least:.1f}x fewer)"
            )
    gradual = method.schedule == "gradual" and pattern is None
    number = _halvings(1 / (1 - wanted)) if gradual else 1
    current = whole
    for index in range(number):
        place = folder / f"round-{index}"
        share = wanted if index == number - 1 else 1 - (1 - wanted) ** ((index + 1) / number)
        current, masks, dense = sparsify(
            current,
            samples_and_views,
            spec,
            pattern,
            share,
            damping=method.damping,
            even=method.allocation == "even",
            round_too=method.recipe.steps == 0,
            folder=place,
            seed=method.seed,
            on_part=_progress(on_progress, "set weights to zero"),
        )
        rounds = [limits] * number
        _tell(on_stage, _named("zeros", index, rounds), current)
        current = _nearer(whole, current, {}, samples_and_views, spec)
        _tell(on_stage, _named("statistics", index, rounds), current)
        if method.recipe.steps:
            _teach(whole, teacher, current, {}, samples, spec, method, place, on_progress, masks)
            _tell(on_stage, _named("lessons", index, rounds), current)
    return Compressed(current, {}, dense, masks)


def weigh(
    module: nn.Module,
    structure: Structure,
    samples: Samples,
    spec: InputSpec,
    method: Method,
    folder: Path,
    on_progress: OnProgress | None = None,
) -> dict[str, Damage]:
    """What removing channels costs: `damage.measure_damage` with a method's settings."""
    return measure_damage(
        module,
        structure,
        with_views(samples, method.pictures // 2, method.seed),
        spec,
        damping=method.damping,
        folder=folder,
        seed=method.seed,
        on_part=_progress(on_progress, "weigh channels"),
    )


def _choose(
    module: nn.Module,
    structure: Structure,
    damages: Mapping[str, Damage],
    spec: InputSpec,
    limits: Limits,
    method: Method,
) -> Kept:
    cost = Cost(module, structure, spec.width, spec.height)
    if method.allocation == "even":
        numbers = allocate_evenly(cost, structure.groups, limits)
    else:
        numbers = allocate(cost, structure.groups, damages, limits)
    kept = {}
    for group in structure.groups:
        gone = set(damages[group.name].order[: group.channels - numbers[group.name]])
        kept[group.name] = torch.tensor([channel for channel in range(group.channels) if channel not in gone])
    return kept


def _nearer(dense: nn.Module, cut: nn.Module, kept: Kept, samples: Samples, spec: InputSpec) -> nn.Module:
    """With corrected statistics, where they bring the answers nearer to the dense network's; else as it is."""
    corrected = copy.deepcopy(cut)
    correct_statistics(dense, corrected, kept, samples, spec)
    few = first(samples, _COMPARED)
    wanted, now, then = (answers(module, few, spec) for module in (dense, cut, corrected))
    return corrected if divergence(wanted, then) < divergence(wanted, now) else cut


def answers(module: nn.Module, samples: Samples, spec: InputSpec) -> Tensor:
    """Logits on all samples, `float32 (N, C)`."""
    with torch.inference_mode():
        return torch.cat([module(batch) for batch in samples.batches(spec)])


def _teach(
    whole: nn.Module,
    teacher: nn.Module,
    cut: nn.Module,
    origin: Mapping[str, Tensor],
    samples: Samples,
    spec: InputSpec,
    method: Method,
    place: Path,
    on_progress: OnProgress | None,
    masks: Mapping[str, Tensor] | None = None,
) -> None:
    done = place / "taught.pt"
    if done.exists():
        cut.load_state_dict(torch.load(done, weights_only=True))
        cut.eval()
        return
    steps = _progress_of_steps(on_progress)
    lessons = make_lessons(
        teacher,
        whole,
        samples,
        spec,
        method.recipe,
        _watched(whole, origin, spec),
        seed=method.seed,
        on_step=steps("ask the big model"),
    )
    teach(
        cut,
        lessons,
        spec,
        method.recipe,
        masks=masks,
        state=place / "teach.pt",
        seed=method.seed,
        on_step=steps("lessons"),
    )
    write_whole(done, partial(torch.save, cut.state_dict()))


def _watched(whole: nn.Module, origin: Mapping[str, Tensor], spec: InputSpec) -> dict[str, Tensor]:
    """For each stream of channels the first layer that reads it, with the channels that stayed; and the classifier."""
    structure = find_structure(whole, spec.width, spec.height)
    head, _ = classifier(whole)
    order = {
        name: place
        for place, name in enumerate(
            forward_order(
                whole,
                [member.layer for group in structure.groups for member in group.consumers],
                torch.zeros(1, 3, spec.height, spec.width),
            )
        )
    }
    watched = {}
    for group in structure.groups:
        readers = [member.layer for member in group.consumers]
        if group.kind == "channels" and (len(readers) > 1 or head in readers):
            kept = origin.get(group.name, torch.arange(group.channels))
            first = min(readers, key=lambda name: order[name])
            watched[first] = kept
            if head in readers:
                watched[head] = kept
    return watched


def _rounds(cost: Cost, limits: Limits, method: Method) -> list[Limits]:
    """The limits of each round."""
    if method.schedule == "once":
        return [limits]
    factors = [
        whole / limit
        for whole, limit in ((cost.parameters, limits.parameters), (cost.macs, limits.macs))
        if limit is not None
    ]
    number = _halvings(max(factors, default=1.0))

    def at(whole: int, limit: int | None, share: float) -> int | None:
        return None if limit is None else max(limit, round(whole * (limit / whole) ** share))

    return [
        Limits(
            at(cost.parameters, limits.parameters, (index + 1) / number),
            at(cost.macs, limits.macs, (index + 1) / number),
        )
        for index in range(number)
    ]


def _halvings(factor: float) -> int:
    """How many rounds of halving make something so many times smaller; a limit that is rounded down adds none."""
    return max(1, math.ceil(math.log2(factor) - 0.01))


def fingerprint(*facts: object) -> str:
    """Names what a folder of states belongs to."""
    return hashlib.sha256("\n".join(map(repr, facts)).encode()).hexdigest()[:16]


def _named(stage: str, number: int, rounds: list[Limits]) -> str:
    return stage if len(rounds) == 1 else f"{stage}, round {number + 1} of {len(rounds)}"


def _tell(on_stage: OnStage | None, name: str, module: nn.Module) -> None:
    if on_stage is not None:
        on_stage(name, module)


def _progress(on_progress: OnProgress | None, what: str) -> Callable[[int, int, str], None] | None:
    if on_progress is None:
        return None
    return lambda done, of, _: on_progress(what, done, of)


def _progress_of_steps(on_progress: OnProgress | None) -> Callable[[str], Callable[[int, int, float], None] | None]:
    def of(what: str) -> Callable[[int, int, float], None] | None:
        if on_progress is None:
            return None
        return lambda done, steps, _: on_progress(what, done, steps)

    return of
