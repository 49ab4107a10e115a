"""What a checkpoint says of its network."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edge_sdk.model.inputs import InputSpec

FORMAT = "edge-sdk-checkpoint-1"


class CheckpointInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a network.

    Attributes:
        arch: timm's name of the architecture.
        labels: class names, in the order of the network's outputs.
        input: what the network takes.
        macs: multiply-accumulates of one forward pass on one image.
        parameters: number of weights.
        version: of this model; when the file has none, loading takes the first 12 digits of the file's sha256.
        options: keyword arguments with which timm makes the architecture, such as `{"global_pool": "max"}`.
        widths: of a pruned network: the number of channels that each group keeps, by the group's name
            (`edge_sdk.networks.pruning`).
        sums: of a network whose head has finer classes than `labels`: how many of its outputs, in order, are summed
            into each label (`edge_sdk.networks.grouped`); empty: none are.
        view: what of a frame it was trained and measured to look at: "frame", "region" or "both".
        training: facts about the training, for people.
    """

    arch: str
    options: dict[str, Any] = {}
    widths: dict[str, int] = {}
    sums: tuple[int, ...] = ()
    labels: tuple[str, ...]
    input: InputSpec
    macs: int = 0
    parameters: int = 0
    version: str = ""
    view: Literal["frame", "region", "both"] = "frame"
    training: dict[str, Any] = {}
