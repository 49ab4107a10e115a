"""The exit sequence network (ESN) of TinySaver (Wang et al., arXiv 2403.17726, section 3.3).

Exits are attached to a frozen big model. At each exit the features are pooled, normalised and mapped to a token. A
causal transformer runs over the tokens so far. The exit's logits are a linear function of its token plus the little
model's logits, so an exit learns only what the little model lacks. Those logits arrive with the frame: the sequence
starts on the device and continues in the cloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.checkpoint import CheckpointInfo
from edge_sdk.networks.taps import Stop, Tap, pooled, tapped

BIG = "big model"
"""The name of the last exit: the big model's own end."""
_SMALLEST = 1e-6


class SequenceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The description of an exit sequence.

    Attributes:
        big: the network that the exits are attached to.
        little_labels: labels of the little model, in the order of the probabilities that arrive with a frame.
        modules: names of the tapped modules.
        channels: of the features at each tapped module.
        way_macs: multiply-accumulates from tap to tap, one more than there are exits: the first from the input to the
            first tap, the last from the last tap to the network's end.
        exit_macs: multiply-accumulates of an answer at each exit, all tokens so far included.
        dim: of the tokens.
        heads: of the transformer's attention.
        layers: of the transformer.
        thresholds: confidence at or above which a frame leaves, for each exit; infinity: the exit is not used.
        temperatures: by which the logits of each exit are divided.
        facts: about training and search, for people.
    """

    big: CheckpointInfo
    little_labels: tuple[str, ...]
    modules: tuple[str, ...]
    channels: tuple[int, ...]
    way_macs: tuple[int, ...]
    exit_macs: tuple[int, ...] = ()
    dim: int = 64
    heads: int = 4
    layers: int = 1
    thresholds: tuple[float, ...] = ()
    temperatures: tuple[float, ...] = ()
    facts: dict[str, Any] = {}

    @property
    def exit_names(self) -> tuple[str, ...]:
        """Where a frame may leave, in the order of `Answered.exits`: the last is the big model's own end."""
        return (*self.modules, BIG)


class Exits(nn.Module):
    """The exits alone: pooled features and the little model's logits in, logits of every exit out.

    Args:
        channels: of the features at each exit.
        classes: C.
        dim: of the tokens.
        heads: of the attention.
        layers: of the transformer.
    """

    def __init__(
        self, channels: Sequence[int], classes: int, *, dim: int = 64, heads: int = 4, layers: int = 1
    ) -> None:
        super().__init__()
        self.tokens = nn.ModuleList(nn.Sequential(nn.LayerNorm(c), nn.Linear(c, dim), nn.ReLU()) for c in channels)
        layer = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.1, batch_first=True, norm_first=True)
        self.mixer = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.heads = nn.ModuleList(nn.Linear(dim, classes) for _ in channels)
        for parameter in self.heads.parameters():  # an untrained exit answers as the little model does
            nn.init.zeros_(parameter)

    def token(self, index: int, features: torch.Tensor) -> torch.Tensor:
        """Pooled features `(N, C_i)` of exit `index` as its token, `(N, dim)`."""
        token: torch.Tensor = self.tokens[index](features)
        return token

    def answer(self, tokens: Sequence[torch.Tensor], little: torch.Tensor) -> torch.Tensor:
        """Logits `(N, C)` of the latest of the exits whose tokens, `(N, dim)` each, are given.

        Args:
            tokens: of all exits so far.
            little: `(N, C)` logits of the little model.
        """
        index = len(tokens) - 1
        logits: torch.Tensor = self.heads[index](self._mix(torch.stack(list(tokens), 1))[:, -1]) + little
        return logits

    def forward(self, features: Sequence[torch.Tensor], little: torch.Tensor) -> torch.Tensor:
        """Logits of all exits, `(N, exits, C)`."""
        tokens = torch.stack([self.token(index, one) for index, one in enumerate(features)], 1)
        mixed = self._mix(tokens)
        return torch.stack([head(mixed[:, index]) for index, head in enumerate(self.heads)], 1) + little[:, None]

    def _mix(self, tokens: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device=tokens.device, dtype=tokens.dtype)
        mixed: torch.Tensor = self.mixer(tokens, mask=mask, is_causal=True)
        return mixed


@dataclass(slots=True, eq=False)
class Answered:
    """The answers of a sequence on N frames.

    Attributes:
        probabilities: `float32 (N, C)`.
        macs: `int64 (N,)`, multiply-accumulates spent on each frame in the cloud.
        exits: `int64 (N,)`, index of the exit at which each frame left; the number of exits means the big model's head.
    """

    probabilities: torch.Tensor
    macs: torch.Tensor
    exits: torch.Tensor


class SequenceModel(nn.Module):
    """A frozen big model with exits.

    Args:
        big: the network.
        exits: attached to it.
        info: where they are attached, what they cost, and when a frame leaves.

    Attributes:
        order: for each of the big model's labels, its index among the little model's.
    """

    def __init__(self, big: nn.Module, exits: Exits, info: SequenceInfo) -> None:
        super().__init__()
        self.big, self.exits, self.info = big.eval().requires_grad_(False), exits, info
        place = {label: index for index, label in enumerate(info.little_labels)}
        self.order = [place[label] for label in info.big.labels]

    @torch.inference_mode()
    def features(self, inputs: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Pooled features at each exit, `(N, C_i)`, and the big model's logits, `(N, C)`."""
        found: list[torch.Tensor] = []
        with tapped(self.big, self.info.modules, lambda i, x: found.append(pooled(x, self.info.channels[i]))):
            logits = self.big(inputs).float()
        return found, logits

    def little_logits(self, probabilities: torch.Tensor) -> torch.Tensor:
        """The little model's logits in the big model's order, from its `(N, C)` probabilities in its own."""
        return torch.log(probabilities.clamp(min=_SMALLEST))[:, self.order]

    @torch.inference_mode()
    def run(self, inputs: torch.Tensor, little: torch.Tensor, may_exit: torch.Tensor | None = None) -> Answered:
        """Answer N frames. Each leaves at the first exit whose threshold it reaches; later layers run on the others
        alone.

        Args:
            inputs: `float32 (N, 3, height, width)`, normalised.
            little: `float32 (N, C)` probabilities of the little model, in its own order of labels.
            may_exit: `bool (N,)`, frames that may leave early; None: all.

        Returns:
            the answers, in the order of `inputs`.
        """
        info, count = self.info, len(inputs)
        logits = self.little_logits(little.float())
        result = torch.zeros(count, len(info.big.labels), device=inputs.device)
        spent = torch.zeros(count, dtype=torch.int64, device=inputs.device)
        left_at = torch.full((count,), len(info.modules), dtype=torch.int64, device=inputs.device)
        there = torch.arange(count, device=inputs.device)
        tokens: list[torch.Tensor] = []

        def at_exit(index: int, features: torch.Tensor) -> torch.Tensor | None:
            nonlocal there, tokens
            spent[there] += info.way_macs[index]
            if any(threshold <= 1 for threshold in info.thresholds[index:]):
                tokens.append(self.exits.token(index, pooled(features, info.channels[index])))
            if info.thresholds[index] > 1:
                return None
            spent[there] += info.exit_macs[index]
            chances = functional.softmax(
                self.exits.answer(tokens, logits[there]).float() / info.temperatures[index], dim=1
            )
            sure = chances.amax(1) >= info.thresholds[index]
            if may_exit is not None:
                sure &= may_exit[there]
            result[there[sure]] = chances[sure]
            left_at[there[sure]] = index
            if bool(sure.all()):
                raise Stop
            if not bool(sure.any()):
                return None
            there = there[~sure]
            tokens = [token[~sure] for token in tokens]
            return features[~sure]

        try:
            with tapped(self.big, info.modules, at_exit):
                final = self.big(inputs).float()
        except Stop:
            return Answered(result, spent, left_at)
        spent[there] += info.way_macs[-1]
        result[there] = functional.softmax(final, dim=1)
        return Answered(result, spent, left_at)


def attach_exits(
    big: nn.Module,
    info: CheckpointInfo,
    taps: Sequence[Tap],
    little_labels: Sequence[str],
    *,
    dim: int = 64,
    heads: int = 4,
    layers: int = 1,
) -> SequenceModel:
    """A big model with untrained exits at the given places; every threshold is infinite, so no exit is used yet.

    Args:
        big: the network.
        info: its description.
        taps: where the exits are attached (`find_taps`).
        little_labels: labels of the little model, the big model's in any order.
        dim: of the tokens.
        heads: of the transformer's attention.
        layers: of the transformer.

    Raises:
        WorkbenchError: the little model's labels are not the big model's.
    """
    if set(little_labels) != set(info.labels):
        raise WorkbenchError(
            f"expected a little model with the big one's labels ({', '.join(info.labels)}); "
            f"got {', '.join(little_labels)}"
        )
    exits = Exits([tap.channels for tap in taps], len(info.labels), dim=dim, heads=heads, layers=layers).eval()
    costs = [tap.macs for tap in taps]
    ways = [after - before for before, after in zip([0, *costs], [*costs, max(info.macs, costs[-1])], strict=True)]
    described = SequenceInfo(
        big=info,
        little_labels=tuple(little_labels),
        modules=tuple(tap.module for tap in taps),
        channels=tuple(tap.channels for tap in taps),
        way_macs=tuple(ways),
        exit_macs=tuple(_exit_macs(exits, [tap.channels for tap in taps], len(info.labels))),
        dim=dim,
        heads=heads,
        layers=layers,
        thresholds=(float("inf"),) * len(taps),
        temperatures=(1.0,) * len(taps),
    )
    return SequenceModel(big, exits, described)


def _exit_macs(exits: Exits, channels: Sequence[int], classes: int) -> list[int]:
    """Multiply-accumulates of an answer at each exit, the tokens so far included."""
    costs = []
    with torch.inference_mode():
        for index in range(len(channels)):
            with FlopCounterMode(display=False) as counter:
                tokens = [exits.token(i, torch.zeros(1, channels[i])) for i in range(index + 1)]
                exits.answer(tokens, torch.zeros(1, classes))
            costs.append(int(counter.get_total_flops()) // 2)
    return costs
