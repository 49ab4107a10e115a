"""Quantisation-aware fine-tuning: a float network learns to give its own answers through int8's rounding.

The network is captured and prepared as an export does it, so the values that are rounded in training are those that
int8 rounds on the device. Each rounding passes gradients straight through (Bengio et al., arXiv 1308.3432; Jacob et
al., arXiv 1712.05877, section 3), normalisation is folded into the layers with its statistics as they are, and the
teacher is the float network itself, so the pictures need no labels. The tuned weights go back into the network. A
killed tuning can be resumed, as a training can (`edge_sdk.workbench.train`).
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.inputs import InputSpec, prepare
from edge_sdk.networks.checkpoint import create_model, save_checkpoint
from edge_sdk.workbench.learning_rate import schedule
from edge_sdk.workbench.lowering import quiet
from edge_sdk.workbench.observers import observers_of
from edge_sdk.workbench.quantise import example, logits_of
from edge_sdk.workbench.sample import draw_sample
from edge_sdk.workbench.spent import Account
from edge_sdk.workbench.train_state import SAVE_EVERY_S, TrainState, read_state
from edge_sdk.workbench.unfold import Folded, folded_layers

EPOCHS, BATCH, LEARNING_RATE = 4, 8, 1e-5

LEARNING = "learning int8's rounding"
"""What `on_progress` is told of the steps."""

_PICTURES = 2000  # of the data, at most
_RANGES = 100  # pictures that ranges are taken from
_WARMUP = 0.05  # share of the steps


class _RoundValue(nn.Module):
    """In an observer's place: rounds to the range that it found."""

    def __init__(self, observer: Any) -> None:
        super().__init__()
        scale, zero = observer.calculate_qparams()
        self._scale, self._zero = float(scale), int(zero)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(x, self._scale, self._zero, -128, 127)


class _RoundWeight(nn.Module):
    """In a weight's observer's place: rounds to the steps of the weight as it is now."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = (x.detach().abs().flatten(1).amax(1) / 127).clamp_min(2**-12)
        return torch.fake_quantize_per_channel_affine(
            x, scale, torch.zeros_like(scale, dtype=torch.int32), 0, -127, 127
        )


def tune_for_int8(
    module: nn.Module,
    pixels: NDArray[np.uint8],
    spec: InputSpec,
    *,
    epochs: int = EPOCHS,
    batch: int = BATCH,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    state: Path | None = None,
    account: Account | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> nn.Module:
    """Fine-tune a network so that int8 keeps its answers, or resume the tuning that an earlier call began.

    Args:
        module: takes `float32 (1, 3, height, width)`, gives logits `(1, C)`; it is not changed.
        pixels: `uint8 (N, H, W, 3)`, pictures at the network's input size; no labels are used.
        spec: what the network takes.
        epochs: passes over the pictures.
        batch: pictures a step.
        learning_rate: the peak, of Adam.
        seed: of the order of the pictures.
        state: file of what a later call goes on from, written each epoch and each minute; it stays. None: none.
        account: is told of the earlier sessions.
        on_progress: told what runs, on how many pictures it has, and of how many.

    Returns:
        a network of the same architecture, in evaluation mode, to be exported like any other.

    Raises:
        WorkbenchError: no pictures; weights that cannot be told apart in the captured network; a loss that is not
            finite; or a state of a tuning with other settings, which are named.
    """
    if not len(pixels):
        raise WorkbenchError("expected pictures to tune the network on; got none")
    settings = {
        "network": _digest(*module.state_dict().values()),
        "pictures": _digest(torch.from_numpy(pixels)),
        **{"epochs": str(epochs), "batch": str(batch), "learning_rate": str(learning_rate), "seed": str(seed)},
    }
    kept = _Kept(state, settings, account or Account())
    show = on_progress or (lambda what, done, of: None)
    tuned = copy.deepcopy(module).eval()
    wanted = logits_of(tuned, pixels, spec, lambda done, of: show("running the float network", done, of))
    graph, layers = _rounding(tuned, pixels[:_RANGES], spec, lambda done, of: show("calibrating int8", done, of))
    parameters = [tensor for layer in layers for tensor in layer.tensors]
    if not parameters:
        raise WorkbenchError(
            f"expected layers with weights of their own in {type(module).__name__}; found none to tune"
        )
    for tensor in parameters:
        tensor.requires_grad_(True)
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    centred = torch.from_numpy(wanted - wanted.mean(1, keepdims=True))
    scale = float((centred - centred.mean(0)).square().mean()) or 1.0
    per_epoch, order = math.ceil(len(pixels) / batch), np.random.default_rng(seed)
    steps, began = epochs * per_epoch, kept.restore(parameters, optimizer)
    for epoch in range(epochs):
        shuffled = order.permutation(len(pixels))
        for step in range(max(began, epoch * per_epoch), (epoch + 1) * per_epoch):
            start = (step - epoch * per_epoch) * batch
            chosen = shuffled[start : start + batch]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * schedule(step, steps, _WARMUP)
            for number in chosen:
                logits = graph(example(pixels[number : number + 1], spec))[0]
                loss = (logits - logits.mean() - centred[number]).square().mean() / (scale * len(chosen))
                if not math.isfinite(float(loss.detach())):
                    raise WorkbenchError(f"the loss is {float(loss)} at step {step}; try a lower learning rate")
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            kept.save(step + 1, parameters, optimizer, at_once=step + 1 == (epoch + 1) * per_epoch)
            show(LEARNING, step + 1, steps)
    for layer in layers:
        layer.write_back(tuned)
    return tuned.eval()


def tune_checkpoint(
    checkpoint: str,
    data: str,
    out: Path,
    *,
    epochs: int = EPOCHS,
    batch: int = BATCH,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    version: str = "",
    account: Account | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Fine-tune a checkpoint so that int8 keeps its answers, on pictures whose labels are not looked at.

    Until the tuning is done, its state is stored beside the output, in `OUT.state`, and the same call goes on from it.

    Args:
        checkpoint: the float network.
        data: address of the pictures (`edge_sdk.workbench.data`); at most 2,000 are taken, spread over the classes.
        out: the checkpoint to write, `.safetensors`.
        epochs: see `tune_for_int8`.
        batch: see `tune_for_int8`.
        learning_rate: see `tune_for_int8`.
        seed: of the choice of pictures and their order.
        version: of the tuned network; "": the checkpoint's.
        account: is told of the earlier sessions, and gives the time and memory of all of them.
        on_progress: told what runs, how far it is, and of how much.

    Raises:
        WorkbenchError: as `tune_for_int8`, or a checkpoint or data that cannot be used.
    """
    module, info = create_model(checkpoint)
    pictures = draw_sample(data, _PICTURES, 0, seed).pictures
    rows = []
    for picture in pictures:
        rows.append(prepare(picture.image, info.input))
        if on_progress is not None:
            on_progress("reading pictures", len(rows), pictures.most)
    shape = (0, info.input.height, info.input.width, 3)
    pixels = np.stack(rows) if rows else np.empty(shape, np.uint8)
    tuned = tune_for_int8(
        module,
        pixels,
        info.input,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        state=(state := out.with_name(out.name + ".state")),
        account=account,
        on_progress=on_progress,
    )
    facts = {**info.training, "tuned_for": "int8", "tuned_on": data, "from": Path(checkpoint).name}
    path = save_checkpoint(out, tuned, msgspec.structs.replace(info, version=version or info.version, training=facts))
    state.unlink(missing_ok=True)
    return path


class _Kept:
    """What a later call goes on from: the tuned weights and the optimiser's state."""

    def __init__(self, path: Path | None, settings: Mapping[str, str], account: Account) -> None:
        """Read what was saved.

        Raises:
            WorkbenchError: it is of a tuning with other settings, which are named.
        """
        self.path, self.settings, self.account = path, settings, account
        self.saved = None if path is None else read_state(path, settings, torch.device("cpu"))
        self.saved_at = time.monotonic()

    def restore(self, parameters: Sequence[torch.Tensor], optimizer: torch.optim.Optimizer) -> int:
        """Take what was saved; the steps that are done."""
        if self.saved is None:
            return 0
        with torch.no_grad():
            for number, tensor in enumerate(parameters):
                tensor.copy_(self.saved.module[str(number)])
        optimizer.load_state_dict(self.saved.optimizer)
        self.account.earlier = self.saved.spent
        return self.saved.step

    def save(
        self, step: int, parameters: Sequence[torch.Tensor], optimizer: torch.optim.Optimizer, *, at_once: bool
    ) -> None:
        """Write the state, at once or if the last time is long ago."""
        if self.path is None or not (at_once or time.monotonic() - self.saved_at > SAVE_EVERY_S):
            return
        weights = {str(number): tensor.detach() for number, tensor in enumerate(parameters)}
        TrainState(self.settings, weights, optimizer.state_dict(), [], step, self.account.now()).write(self.path)
        self.saved_at = time.monotonic()


def _digest(*tensors: torch.Tensor) -> str:
    """Short text that differs where a value does."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def _rounding(
    module: nn.Module, pixels: NDArray[np.uint8], spec: InputSpec, on_done: Callable[[int, int], None]
) -> tuple[Any, list[Folded]]:
    """The network with rounding wherever int8 rounds, and its layers whose weights have a way back into `module`."""
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

    from edge_sdk.workbench.quantizer import FusingQuantizer
    from edge_sdk.workbench.rewrites.capture import capture

    with quiet():
        inputs = (example(pixels[:1], spec),)
        prepared = prepare_pt2e(capture(module, inputs), FusingQuantizer())
        logits_of(prepared, pixels, spec, on_done)
    for node in observers_of(prepared):
        weight = node.all_input_nodes[0].op == "get_attr"
        observer = prepared.get_submodule(node.target)
        setattr(prepared, str(node.target), _RoundWeight() if weight else _RoundValue(observer))
    return prepared, [layer for layer in folded_layers(module, inputs) if layer.take(module, prepared)]
