"""Restriction of a classifier of many classes to the few classes of a task."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from edge_sdk.errors import WorkbenchError


def restrict(module: nn.Module, members: Sequence[Sequence[int]]) -> nn.Module:
    """A copy of a network whose head has only the task's classes.

    Args:
        module: a timm network with one linear classifier.
        members: for each class of the task the classes of `module` that it stands for, as indices; the head's row is
            the mean of theirs.

    Raises:
        WorkbenchError: the network's classifier is not one linear layer.
    """
    restricted = copy.deepcopy(module)
    name, head = classifier(restricted)
    narrow = nn.Linear(head.in_features, len(members), bias=head.bias is not None)
    with torch.no_grad():
        for row, group in enumerate(members):
            narrow.weight[row] = head.weight[list(group)].mean(0)
            if head.bias is not None:
                narrow.bias[row] = head.bias[list(group)].mean()
    parent, _, own = name.rpartition(".")
    setattr(restricted.get_submodule(parent), own, narrow)
    restricted.num_classes = len(members)  # type: ignore[assignment]
    return restricted.eval()


def restrict_finely(module: nn.Module, members: Sequence[Sequence[int]]) -> nn.Module:
    """A copy of a network whose head has only the classes that belong to the task's, group after group.

    `edge_sdk.networks.grouped.summed` with the groups' sizes makes the task's classes of them.

    Raises:
        WorkbenchError: as `restrict`.
    """
    return restrict(module, [[fine] for group in members for fine in group])


def classifier(module: nn.Module) -> tuple[str, nn.Linear]:
    """The last linear layer and its name.

    Raises:
        WorkbenchError: the network has another head.
    """
    head: Any = module.get_classifier() if hasattr(module, "get_classifier") else module  # type: ignore[operator]
    if not isinstance(head, nn.Linear):
        raise WorkbenchError(
            f"expected a network with one linear classifier; got {type(head).__name__}. Distilled transformers with "
            "two heads and convolutional heads are not supported"
        )
    return next(name for name, layer in module.named_modules() if layer is head), head
