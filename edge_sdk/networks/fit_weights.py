"""Which tensor of a file belongs to which of a network: by name, by timm's own converters, or by order and shape.

Nothing is loaded in part: a tensor that is missing, does not fit, or has no place in the network is an error.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from typing import Literal

import torch
from torch import nn

from edge_sdk.networks.signature import COUNTED, Shape, is_weight, squeezed, unwrapped

How = Literal["names", "timm's converter", "order"]
_LEAVES = ("weight", "bias", "running_mean", "running_var")
_AUXILIARY = re.compile(r"(^|\.)aux", re.IGNORECASE)
_SHOWN = 4


class DoesNotFit(Exception):
    """The tensors are not those of the network.

    Attributes:
        fitting: share of the network's tensors that are there with the right shape, in [0, 1].
    """

    def __init__(self, told: str, fitting: float) -> None:
        super().__init__(told)
        self.fitting = fitting


@dataclass(frozen=True, slots=True)
class Fitted:
    """A file's tensors under a network's names.

    Attributes:
        state: the network's `state_dict`; counters of batch normalisation that the file lacks are not in it.
        how: by what they were matched.
        pairs: names in the file and in the network that differ by more than a prefix.
        prefix: what was taken from the names of the file, such as "module.".
        left_out: names of tensors of the file that the network does not need.
    """

    state: dict[str, torch.Tensor]
    how: How
    pairs: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    left_out: tuple[str, ...] = ()


def fit_weights(
    tensors: Mapping[str, torch.Tensor], network: nn.Module, *, ordered: bool, convert: bool = True
) -> Fitted:
    """Match a file's tensors with a network's.

    Args:
        tensors: by the file's names.
        network: may be on the meta device.
        ordered: the file's tensors stand in the order of its network.
        convert: timm's converter for the network's family may be used.

    Raises:
        DoesNotFit: one is missing, has another shape, or has no place in the network.
    """
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    try:
        return _by_names(tensors, own)
    except DoesNotFit as error:
        first = error
    converted = _convert(tensors, network) if convert else None
    if converted is not None:
        try:
            fitted = _by_names(converted, own)
        except DoesNotFit as error:
            first = max(first, error, key=lambda one: one.fitting)
        else:
            return Fitted(fitted.state, "timm's converter", _converted_pairs(tensors, fitted.state))
    pairs = _by_order({name: tuple(tensor.shape) for name, tensor in tensors.items()}, own) if ordered else None
    if pairs is None:
        raise first
    state = {to: tensors[name].reshape(own[to]) for name, to in pairs}
    state |= {f"{to.rpartition('.')[0]}.{COUNTED}": tensor for to, tensor in _counters(tensors, pairs, own)}
    used = {name for name, _ in pairs}
    return Fitted(state, "order", tuple(pairs), left_out=tuple(name for name in tensors if name not in used))


def prefixes_of(names: Sequence[str]) -> list[str]:
    """Prefixes with a dot that at least half of the names have, the longest last; "" first."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update(".".join(parts[:length]) + "." for length in range(1, min(len(parts), 6)))
    return ["", *sorted((prefix for prefix, count in counts.items() if 2 * count >= len(names)), key=len)]


def _by_names(tensors: Mapping[str, torch.Tensor], own: Mapping[str, Shape]) -> Fitted:
    wanted = [name for name in own if is_weight(name)]
    plain = {unwrapped(name): name for name in tensors}
    if len(plain) < len(tensors):
        plain = {name: name for name in tensors}
    best: tuple[int, str, dict[str, str]] = (-1, "", {})
    for prefix in prefixes_of(list(plain)):
        found = {name: plain.get(prefix + name, plain.get(name, "")) for name in wanted}
        right = sum(1 for name, file in found.items() if file and _same(own[name], tuple(tensors[file].shape)))
        best = max(best, (right, prefix, found), key=lambda one: one[0])
    right, prefix, found = best
    fitting = right / max(1, len(wanted))
    if missing := [name for name, file in found.items() if not file]:
        raise DoesNotFit(f"it lacks {_shown(missing)}, {len(missing)} of {len(wanted)} tensors", fitting)
    if wrong := [name for name, file in found.items() if not _same(own[name], tuple(tensors[file].shape))]:
        told = [f"{name} ({tuple(tensors[found[name]].shape)}, expected {own[name]})" for name in wrong[:_SHOWN]]
        raise DoesNotFit(
            f"{len(wrong)} of {len(wanted)} tensors have another shape: {_shown(told, len(wrong))}", fitting
        )
    used = set(found.values())
    rest = [name for plain_name, name in plain.items() if name not in used and plain_name.startswith(prefix)]
    if surplus := [name for name in rest if not (not is_weight(name) or _AUXILIARY.search(name))]:
        raise DoesNotFit(f"it has {len(surplus)} tensors more: {_shown(surplus)}", fitting * len(used) / len(tensors))
    state = {name: tensors[file].reshape(own[name]) for name, file in found.items()}
    for name in own:
        if name not in state and (counter := plain.get(prefix + name, plain.get(name))) is not None:
            state[name] = tensors[counter].reshape(own[name])
            used.add(counter)
    wrapper = next((name[: len(name) - len(to)] for to, name in found.items() if name != to and name.endswith(to)), "")
    return Fitted(state, "names", prefix=wrapper, left_out=tuple(name for name in tensors if name not in used))


def _convert(tensors: Mapping[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor] | None:
    """What timm's converter of this family makes of names of other libraries; None where there is none or it fails."""
    home = sys.modules.get(type(network).__module__)
    convert: Callable[..., dict[str, torch.Tensor]] | None = getattr(home, "checkpoint_filter_fn", None)
    if convert is None:
        return None
    for prefix in prefixes_of(list(tensors)):
        plain = {unwrapped(name).removeprefix(prefix): tensor for name, tensor in tensors.items()}
        try:
            made = convert(plain, network)
        except Exception:  # it was written for other files, and fails on these in ways of its own
            continue
        if isinstance(made, dict) and set(network.state_dict()) & set(made):
            return {name: value for name, value in made.items() if isinstance(value, torch.Tensor)}
    return None


def _converted_pairs(
    tensors: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
) -> tuple[tuple[str, str], ...]:
    places = {tensor.untyped_storage().data_ptr(): name for name, tensor in tensors.items()}
    pairs = [(places.get(tensor.untyped_storage().data_ptr(), "(computed)"), name) for name, tensor in state.items()]
    return tuple(pair for pair in pairs if pair[0] != pair[1])


def _by_order(theirs: Mapping[str, Shape], own: Mapping[str, Shape]) -> list[tuple[str, str]] | None:
    """Pairs of names where both have the same shapes in the same order, layer by layer; else None."""
    ours, files = list(_layers(own)), list(_layers(theirs))
    if len(ours) != len(files):
        return None
    pairs = []
    for name, to in zip(files, ours, strict=True):
        leaf, own_leaf = name.rpartition(".")[2], to.rpartition(".")[2]
        if leaf != own_leaf and leaf in _LEAVES and own_leaf in _LEAVES:
            return None
        if not _same(own[to], theirs[name], flat=True):
            return None
        pairs.append((name, to))
    return pairs


def _layers(shapes: Mapping[str, Shape]) -> Iterator[str]:
    """Names in order, the weights and statistics of a layer always in one order."""
    kept = [name for name in shapes if is_weight(name)]
    for _, names in groupby(kept, key=lambda name: name.rpartition(".")[0]):
        yield from sorted(names, key=lambda name: _rank(name.rpartition(".")[2]))


def _rank(leaf: str) -> int:
    return _LEAVES.index(leaf) if leaf in _LEAVES else len(_LEAVES)


def _counters(
    tensors: Mapping[str, torch.Tensor], pairs: Sequence[tuple[str, str]], own: Mapping[str, Shape]
) -> Iterator[tuple[str, torch.Tensor]]:
    for name, to in pairs:
        counter = tensors.get(f"{name.rpartition('.')[0]}.{COUNTED}")
        if counter is not None and f"{to.rpartition('.')[0]}.{COUNTED}" in own and name.endswith(".running_var"):
            yield to, counter.reshape(())


def _same(own: Shape, theirs: Shape, *, flat: bool = False) -> bool:
    """Whether a tensor fits. A linear layer is a 1x1 convolution; where `flat`, one over the whole picture too."""
    if squeezed(own) == squeezed(theirs):
        return True
    return flat and {len(own), len(theirs)} == {2, 4} and own[0] == theirs[0] and prod(own) == prod(theirs)


def _shown(names: Sequence[str], count: int | None = None) -> str:
    more = (len(names) if count is None else count) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
