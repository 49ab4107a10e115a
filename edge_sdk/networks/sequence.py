"""The exit sequence network (ESN) of TinySaver (Wang et al., arXiv 2403.17726, section 3.3).

Exits are attached to a frozen big model. At each the features are pooled, normalised and mapped to a token; a causal
transformer runs over the tokens so far; and the exit's logits are a linear function of its token plus the little
model's logits, so that an exit need only learn what the little model lacks. Those logits come with the frame: the
sequence starts on the device and goes on in the cloud.
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

_SMALLEST = 1e-6


class SequenceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What an exit sequence is.

    Attributes:
        big: the network that the exits are attached to.
        little_labels: order of the probabilities that come with a frame.
        modules: names of the tapped modules.
        channels: of their features.
        way_macs: multiply-accumulates from tap to tap: the first from the input, the last to the network's end.
        exit_macs: of each exit itself.
        dim: of the tokens.
        heads: of the transformer's attention.
        layers: of the transformer.
        thresholds: confidence at or above which a frame leaves at each exit; infinite: the exit is not used.
        temperatures: of each exit's logits.
        facts: of training and search, for the reader.
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
    """What a sequence said of N frames.

    Attributes:
        probabilities: `float32 (N, C)`.
        macs: `int64 (N,)`, multiply-accumulates spent on each in the cloud.
        exits: `int64 (N,)`, the exit at which each left; as many as there are exits: at the big model's own head.
    """

    probabilities: torch.Tensor
    macs: torch.Tensor
    exits: torch.Tensor


class SequenceModel(nn.Module):
    """A frozen big model with exits.

    Args:
        big: the network.
        exits: what hangs on it.
        info: where, at what cost, and when a frame leaves.

    Attributes:
        order: where each of the big model's labels is among the little one's.
    """

    def __init__(self, big: nn.Module, exits: Exits, info: SequenceInfo) -> None:
        super().__init__()
        self.big, self.exits, self.info = big.eval().requires_grad_(False), exits, info
        self.order = [info.little_labels.index(label) for label in info.big.labels]

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
        """Answer N frames; each leaves at the first exit that is sure enough, and the rest go on without it.

        Args:
            inputs: `float32 (N, 3, height, width)`, normalised.
            little: `float32 (N, C)` probabilities of the little model, in its own order of labels.
            may_exit: `bool (N,)`, frames that may leave early; None: all.
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
    """A big model with fresh exits at the given places; none is used until it is trained and a search says so.

    Raises:
        WorkbenchError: labels of the little model that are not the big one's.
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
