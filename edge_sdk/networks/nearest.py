"""Which of timm's architectures a file's tensors are of: looked up in an index, or tried, the likeliest first."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

import msgspec
import torch

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.fit_weights import DoesNotFit, fit_weights, prefixes_of
from edge_sdk.networks.signature import Shape, Signature, is_weight, signature_of, squeezed, unwrapped
from edge_sdk.networks.timm_networks import is_architecture, network_shapes

INDEX = Path(__file__).with_name("timm_index.json")
"""The signature of each architecture of one version of timm, and of torchvision's; `scripts/index-timm` writes it."""
_TRIED, _SECONDS = 12, 10.0
_SPREAD = 0.25  # parameters may differ by this share


class _Index(msgspec.Struct, frozen=True):
    timm: str
    architectures: dict[str, Signature]
    torchvision: dict[str, Signature]


@dataclass(frozen=True, slots=True)
class Near:
    """An architecture, and how much of it a file has.

    Attributes:
        arch: timm's name.
        fitting: share of its tensors for which the file has one of that shape, in [0, 1]; 1: all, in their places.
    """

    arch: str
    fitting: float


def same_names(shapes: Mapping[str, Shape]) -> list[str]:
    """Architectures of timm that have these very names and shapes, but for the number of classes."""
    return [arch for arch in _look_up(shapes, lambda one: one.names) if is_architecture(arch)]


def same_order(shapes: Mapping[str, Shape]) -> list[str]:
    """Architectures of timm whose tensors have these shapes in this order, whatever the names."""
    return [arch for arch in _look_up(shapes, lambda one: one.order) if is_architecture(arch)]


def torchvision_names(shapes: Mapping[str, Shape]) -> list[str]:
    """Networks of torchvision that have these very names and shapes, but for the number of classes."""
    return _look_up(shapes, lambda one: one.names, torchvision=True)


def nearest(tensors: Mapping[str, torch.Tensor], classes: Callable[[str], int | None], *, ordered: bool) -> list[Near]:
    """The architectures that a file's tensors fit best, the best first; those that fit whole have `fitting` 1.

    Those with nearly as many parameters are made without memory and tried, for at most ten seconds.

    Args:
        tensors: of the file.
        classes: the number of classes that the file has, by an architecture's name; None: not known.
        ordered: they stand in their network's order.
    """
    shapes = _weights_of({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    count = sum(map(prod, shapes.values()))
    index = _read_index()
    known = [(abs(one.parameters - count) / max(one.parameters, 1), arch) for arch, one in index.architectures.items()]
    close = [arch for off, arch in sorted(known) if off < _SPREAD and is_architecture(arch)][: 4 * _TRIED]
    close.sort(key=lambda arch: abs(index.architectures[arch].tensors - len(shapes)) > 0.1 * len(shapes))
    until = time.monotonic() + _SECONDS
    found = []
    for arch in close[:_TRIED]:
        if time.monotonic() > until:
            break
        try:
            network = network_shapes(arch, num_classes=classes(arch))
            fit_weights(tensors, network, ordered=ordered)
            found.append(Near(arch, 1.0))
        except DoesNotFit as error:
            own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
            found.append(Near(arch, min(max(error.fitting, _alike(own, shapes)), 0.99)))
        except (WorkbenchError, NotImplementedError, RuntimeError):  # it cannot be made without memory
            continue
    return sorted(found, key=lambda one: -one.fitting)


def known_classifiers() -> tuple[tuple[str, ...], ...]:
    """What timm's architectures call the modules that give the classes."""
    return tuple({one.classifiers for one in _read_index().architectures.values()})


def classifiers_of_architecture(arch: str) -> tuple[str, ...]:
    """What one architecture calls them; none where the index does not have it."""
    known = _read_index().architectures.get(arch.split(".", 1)[0])
    return known.classifiers if known else ()


def _look_up(
    shapes: Mapping[str, Shape], digest: Callable[[Signature], str], *, torchvision: bool = False
) -> list[str]:
    index = _read_index()
    all_of = index.torchvision if torchvision else index.architectures
    by_digest: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for name, one in all_of.items():
        by_digest[one.classifiers, digest(one)].append(name)
    plain = _weights_of(shapes)
    found: list[str] = []
    for prefix in prefixes_of(list(plain)):
        bare = {name.removeprefix(prefix): shape for name, shape in plain.items()}
        for classifiers in {one.classifiers for one in all_of.values()}:
            for of_file in _heads(bare, classifiers):
                found += by_digest.get((classifiers, digest(signature_of(bare, of_file))), [])
    return list(dict.fromkeys(found))


def _heads(shapes: Mapping[str, Shape], classifiers: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    """What may be the classifier in a file: by the architecture's name for it, and its last module."""
    yield classifiers
    last = next((name.rpartition(".")[0] for name in reversed(list(shapes))), "")
    if len(classifiers) == 1 and (last,) != classifiers:
        yield (last,)


def _alike(own: Mapping[str, Shape], shapes: Mapping[str, Shape]) -> float:
    """Share of a network's tensors for which a file has one of the same shape."""
    wanted = Counter(squeezed(shape) for name, shape in own.items() if is_weight(name))
    there = wanted & Counter(map(squeezed, shapes.values()))
    return there.total() / max(1, wanted.total())


def _weights_of(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {unwrapped(name): shape for name, shape in shapes.items() if is_weight(name)}


@cache
def _read_index() -> _Index:
    return msgspec.json.decode(INDEX.read_bytes(), type=_Index)
