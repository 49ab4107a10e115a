"""The state of a training on disk: what a stopped one goes on from, and whether the settings are still the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.changed_settings import changes
from edge_sdk.workbench.spent import Spent

SAVE_EVERY_S = 60.0
"""A training whose steps are slow saves its state so often."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainState:
    """Everything that a training needs to go on.

    Attributes:
        settings: those that decide the result, as text by name.
        module: the network's state.
        optimizer: the optimiser's state.
        average: the moving average of all floating-point tensors of the network.
        step: steps done.
        spent: time and memory of all sessions so far.
    """

    settings: Mapping[str, str]
    module: dict[str, Any]
    optimizer: dict[str, Any]
    average: list[torch.Tensor]
    step: int
    spent: Spent

    def write(self, path: Path) -> None:
        """Write the state, atomically."""
        content = {
            "settings": dict(self.settings),
            "module": self.module,
            "optimizer": self.optimizer,
            "average": self.average,
            "step": self.step,
            "spent": msgspec.structs.asdict(self.spent),
        }
        write_whole(path, partial(torch.save, content))


def read_state(path: Path, settings: Mapping[str, str], device: torch.device) -> TrainState | None:
    """The state at `path`; None if there is none.

    Args:
        path: the file.
        settings: of the training that is to go on.
        device: where its tensors are put.

    Raises:
        WorkbenchError: it is of a training with other settings, which are named.
    """
    if not path.exists():
        return None
    saved = torch.load(path, weights_only=True, map_location=device)
    if "settings" not in saved:
        raise WorkbenchError(f"{path} is of an earlier version of the SDK; delete it to begin anew")
    if changed := changes(saved["settings"], settings):
        raise WorkbenchError(
            f"{path} is of a training with other settings: {'; '.join(changed)}. Give those to go on, or delete the "
            "file to begin anew"
        )
    return TrainState(
        saved["settings"],
        saved["module"],
        saved["optimizer"],
        saved["average"],
        int(saved["step"]),
        msgspec.convert(saved["spent"], Spent),
    )
