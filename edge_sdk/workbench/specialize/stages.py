"""The stages of a specialisation: cost and right answers of each network, and a bundle of each shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge_sdk.model.bundle import Bundle, InputSpec
from edge_sdk.networks.grouped import summed
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.workbench.specialize.answers import right_answers
from edge_sdk.workbench.specialize.bundles import Bundles
from edge_sdk.workbench.specialize.progress import OnProgress
from edge_sdk.workbench.specialize.report import Stage
from edge_sdk.workbench.specialize.samples import Samples

Right = NDArray[np.bool_]


class Stages:
    """Cost and accuracy of each stage."""

    def __init__(
        self,
        spec: InputSpec,
        test: Samples | None,
        *,
        sparse: bool,
        sums: Sequence[int] = (),
        on_progress: OnProgress | None = None,
    ) -> None:
        """No stage yet.

        Args:
            spec: what the networks take.
            test: pictures on which they are judged; None: they are not.
            sparse: count the weights that are not 0.
            sums: how many of the networks' outputs are summed into each class of the test pictures; empty: none.
            on_progress: told of each evaluation.
        """
        self.found: list[Stage] = []
        self.right: list[Right | None] = []
        self.keys: list[str] = []
        self._modules: dict[str, nn.Module] = {}
        self._sums = tuple(sums)
        self._spec, self._test, self._sparse, self._on_progress = spec, test, sparse, on_progress

    def add(self, name: str, module: nn.Module) -> None:
        """Judge a network as the next stage."""
        stage, right = self.judge(name, module)
        self.found.append(stage)
        self.right.append(right)
        key = f"{count_parameters(module)}-{stage.macs}"
        self.keys.append(key)
        self._modules[key] = module

    def bundles(self, bundles: Bundles, folder: Path, known: Mapping[int, Bundle]) -> dict[str, Bundle]:
        """A bundle for each shape among the stages; `known` gives those of some stages, by index."""
        written = {self.keys[place]: bundle for place, bundle in known.items()}
        missing = [key for key in self._modules if key not in written]
        for number, (key, module) in enumerate(self._modules.items()):
            if key in missing:
                self._tell("export the shapes", missing.index(key), len(missing))
                written[key] = bundles.write(module, folder / f"shape-{number}", f"shape-{number}", spare=False)
                self._tell("export the shapes", missing.index(key) + 1, len(missing))
        return written

    def judge(self, name: str, module: nn.Module) -> tuple[Stage, Right | None]:
        """Cost and accuracy of a network, and which test pictures it names rightly."""
        right = None
        if self._test is not None:
            right = right_answers(
                summed(module, self._sums),
                self._test,
                self._spec,
                lambda done, of: self._tell(f"evaluate: {name}", done, of),
            )
        weights = (
            sum(int(parameter.count_nonzero()) for parameter in module.parameters())
            if self._sparse
            else count_parameters(module)
        )
        share = None if right is None else float(right.mean())
        return Stage(name, weights, count_macs(module, self._spec.width, self._spec.height), share), right

    def _tell(self, what: str, done: int, of: int) -> None:
        if self._on_progress is not None:
            self._on_progress(what, done, of)
