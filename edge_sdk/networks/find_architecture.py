"""Which network of timm a file of weights is, made with them: as it is told, as the file says, or by its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.inputs import InputSpec
from edge_sdk.networks.fit_weights import DoesNotFit, Fitted, fit_weights
from edge_sdk.networks.nearest import classifiers_of_architecture, nearest, same_names, same_order
from edge_sdk.networks.signature import unwrapped
from edge_sdk.networks.timm_networks import (
    config_of,
    is_architecture,
    is_size_bound,
    known_architecture,
    make_network,
    network_shapes,
    usual_input,
)
from edge_sdk.networks.torchvision_twin import SAME, Twin, epsilon_of, torchvision_twin
from edge_sdk.networks.weights_file import WeightsFile

_SIDES = (224, 256, 384, 288, 320, 448, 512, 192, 240, 160, 336)
_LUKEMELAS = re.compile(r"(^|\.)_conv_stem\.weight$")
_SHOWN = 6


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A network of timm with a file's weights.

    Attributes:
        arch: timm's name.
        module: the network, in evaluation mode.
        fitted: which tensor went where.
        options: keyword arguments with which timm makes it.
        input: as timm says.
        twin: torchvision's network of the same weights, where the file's names are of torchvision.
        notes: what was concluded, sentences for people.
    """

    arch: str
    module: nn.Module
    fitted: Fitted
    options: dict[str, Any]
    input: InputSpec
    twin: Twin | None
    notes: tuple[str, ...] = ()


class _Differs(Exception):
    """The tensors fit, and the network computes something else than torchvision's."""


def find_architecture(
    weights: WeightsFile, arch: str = "", options: Mapping[str, Any] | None = None, size: tuple[int, int] | None = None
) -> Found:
    """Make the network whose weights a file has.

    Args:
        weights: the file.
        arch: timm's name; "": as the file says, else the one architecture that its tensors fit.
        options: keyword arguments for timm's `create_model`.
        size: width and height, for networks that are built for one input size.

    Raises:
        WorkbenchError: timm has no such architecture, the tensors do not fit (the nearest architectures are named), fit
            several, or compute something else.
    """
    search = _Search(weights, dict(options or {}), size)
    if arch:
        return search.told(arch)
    if weights.arch and is_architecture(weights.arch):
        try:
            return search.attempt(weights.arch, f"the file says that it is a {weights.arch}")
        except (DoesNotFit, _Differs):
            pass
    return search.by_tensors()


class _Search:
    def __init__(self, weights: WeightsFile, options: dict[str, Any], size: tuple[int, int] | None) -> None:
        self.weights, self.options, self.size = weights, options, size
        self.twin = torchvision_twin(weights.tensors)
        self.tensors = weights.tensors if self.twin is None else self.twin.tensors
        self.ordered = weights.ordered or self.twin is not None

    def told(self, arch: str) -> Found:
        """The architecture that was asked for, and no other."""
        plain = known_architecture(arch)
        try:
            return self.attempt(plain, is_told=True)
        except _Differs as error:
            raise WorkbenchError(f"{self.weights.path}: {error}") from error
        except DoesNotFit as error:
            raise WorkbenchError(
                f"{self.weights.path} does not fit {plain}: {error}. {self._nearest(without=plain)}"
            ) from error

    def by_tensors(self) -> Found:
        """The one architecture that the tensors fit."""
        shapes = {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}
        fitting = same_names(shapes) or (same_order(shapes) if self.ordered else [])
        if not fitting:
            fitting = [
                one.arch for one in nearest(self.tensors, self.classes, ordered=self.ordered) if one.fitting == 1
            ]
        if not fitting:
            whose = "" if self.twin is None else f" (its names are those of torchvision's {self.twin.name})"
            raise WorkbenchError(
                f"expected weights of an architecture of timm; {self.weights.path} fits none of them{whose}. "
                f"{self._nearest()}"
            )
        if self.twin is not None:
            return self._same_as_twin(self.twin, fitting)
        same_padding = [arch for arch in fitting if arch.startswith("tf_")]
        if len(fitting) > 1 and len(same_padding) == 1 and any(_LUKEMELAS.search(name) for name in self.tensors):
            return self._near(
                same_padding[0], f"names as in EfficientNet-PyTorch, which pads as {same_padding[0]} does"
            )
        if len(fitting) > 1:
            raise WorkbenchError(
                f"{self.weights.path} does not say which network it is, and its tensors fit {len(fitting)} of timm's, "
                f"which differ in what weights do not tell (padding, epsilon, activation): {_listed(fitting)}. "
                "Name the right one with --arch"
            )
        return self._near(fitting[0], f"the file does not name its network; its tensors fit {fitting[0]} alone")

    def _near(self, arch: str, note: str) -> Found:
        """An architecture that the tensors come near to; they may still lack one, or have one of another shape."""
        try:
            return self.attempt(arch, note)
        except DoesNotFit as error:
            raise WorkbenchError(
                f"expected weights of an architecture of timm; {self.weights.path} comes nearest to {arch}, and {error}"
            ) from error

    def attempt(self, arch: str, note: str = "", *, is_told: bool = False) -> Found:
        """This architecture with the file's weights; `is_told`: names that are timm's too need no proof.

        Raises:
            DoesNotFit: the tensors do not fit.
            _Differs: torchvision's network of the same weights computes something else.
        """
        found = self._fitted(arch, note)
        twin = self.twin
        if twin is None:
            return found
        if twin.epsilon not in (None, epsilon_of(found.module)) and "bn_eps" not in self.options:
            with suppress(WorkbenchError):  # some architectures take no such option
                found = self._fitted(arch, note, bn_eps=twin.epsilon)
        off = twin.difference(found.module, found.input.width, found.input.height)
        if off > SAME and is_told and found.fitted.how == "names":  # such as timm's resnetblur18
            return found
        if off > SAME:
            raise _Differs(
                f"its names are those of torchvision's {twin.name}, and timm's {arch} with the same weights computes "
                f"something else: outputs differ by {off:.0%} of their spread (padding or activation). Leave --arch "
                "out: the architecture that computes the same is then looked for"
            )
        text = (
            f"outputs as those of torchvision's {twin.name}: compared on one picture, {off:.0e} of their spread apart"
        )
        return replace(found, notes=(*found.notes, text))

    def classes(self, arch: str) -> int | None:
        """How many classes the file has, were it of this architecture; None: it does not tell."""
        heads = classifiers_of_architecture(arch)
        for name, tensor in self.tensors.items():
            parent, _, leaf = unwrapped(name).rpartition(".")
            if leaf in ("weight", "bias") and any(parent == head or parent.endswith(f".{head}") for head in heads):
                return len(tensor)
        if not self.ordered:
            return None
        return next((len(one) for one in reversed(self.tensors.values()) if one.ndim in (2, 4)), None)

    def _fitted(self, arch: str, note: str, **more: Any) -> Found:
        options, classes = {**self.options, **more}, self.classes(arch)
        config = config_of(arch)
        first = usual_input(config, self.size)
        module = make_network(arch, options, num_classes=classes, input=first)
        problem: DoesNotFit | None = None
        fitted: Fitted | None = None
        try:
            fitted = fit_weights(self.tensors, module, ordered=self.ordered)
        except DoesNotFit as error:
            problem = error
        spec = first
        if self.size is None and (fitted is None or fitted.how != "names") and is_size_bound(arch):
            for side in _SIDES:  # timm's converter would resample the positions for another size
                spec = usual_input(config, (side, side))
                other = network_shapes(arch, options, num_classes=classes, input=spec)
                with suppress(DoesNotFit):
                    fitted = fit_weights(self.tensors, other, ordered=False, convert=False)
                    module = make_network(arch, options, num_classes=classes, input=spec)
                    break
            else:
                spec = first
        if fitted is None:
            assert problem is not None
            raise problem
        module.load_state_dict(fitted.state, strict=False)  # what is missing are counters and buffers
        return Found(arch, module, fitted, options, spec, self.twin, (note,) if note else ())

    def _same_as_twin(self, twin: Twin, fitting: Iterable[str]) -> Found:
        tried = sorted(fitting, key=lambda arch: (arch.startswith("tf_"), len(arch)))[:_SHOWN]
        for arch in tried:
            try:
                return self.attempt(arch)
            except (DoesNotFit, _Differs):
                continue
        raise WorkbenchError(
            f"{self.weights.path} has the names of torchvision's {twin.name}, and no architecture of timm computes the "
            f"same with its weights (tried: {_listed(tried)})"
        )

    def _nearest(self, without: str = "") -> str:
        near = [one for one in nearest(self.tensors, self.classes, ordered=self.ordered) if one.arch != without]
        whole = [one.arch for one in near if one.fitting == 1]
        if whole:
            return f"It fits {_listed(whole)}"
        part = [f"{one.arch} ({one.fitting:.0%} of its tensors)" for one in near[:3] if one.fitting > 0]
        return f"Nearest: {', '.join(part)}" if part else "No architecture of timm is near"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
