"""Training and fine-tuning of any timm model, with or without a teacher; a killed training can be resumed.

The recipe is the common one for small networks: AdamW (Loshchilov & Hutter, arXiv 1711.05101), linear warm-up and a
cosine to zero, label smoothing, and an exponential moving average of the weights, which becomes the result. A teacher's
softened output is learnt as in Hinton, Vinyals, Dean (arXiv 1503.02531, section 2). A trained network can be tuned
for deferral (Gatekeeper, arXiv 2502.19335): sure where it is right, unsure where it is wrong.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import CheckpointInfo, create_model, load_checkpoint, save_checkpoint
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.types import View
from edge_sdk.workbench.accuracy import accuracy_of
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.backward import sound_backward
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.learning_rate import schedule
from edge_sdk.workbench.looks import Finding, looked_at
from edge_sdk.workbench.losses import cross_entropy, deferral_loss, teacher_distance
from edge_sdk.workbench.pixels import OnPart, load_pixels
from edge_sdk.workbench.spent import Account
from edge_sdk.workbench.tensors import scaled, to_tensor
from edge_sdk.workbench.train_batches import Batches
from edge_sdk.workbench.train_config import TrainConfig
from edge_sdk.workbench.train_state import SAVE_EVERY_S, TrainState, read_state
from edge_sdk.workbench.twins import without_twins

_LOSSES = 20  # steps over which the loss is averaged
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a running training.

    Attributes:
        step: steps done.
        steps: steps in all.
        epoch: epochs done.
        loss: mean of the last steps.
        accuracy: on the validation pictures, at the end of an epoch; else None.
    """

    step: int
    steps: int
    epoch: int
    loss: float
    accuracy: float | None


OnProgress = Callable[[Progress], None]


def train(
    config: TrainConfig,
    *,
    cache: Path | None = None,
    finish_now: bool = False,
    account: Account | None = None,
    on_progress: OnProgress | None = None,
    on_part: OnPart | None = None,
    on_validated: OnPart | None = None,
) -> Path:
    """Train, or resume the training that an earlier call with the same settings began.

    Until the training is done, its state is stored beside the output, in `OUT.state`.

    Args:
        config: the settings.
        cache: folder of prepared pictures; default: the user's cache folder.
        finish_now: learn no further: evaluate and write what was saved last. The state stays, so that another call
            goes on with the training.
        account: is told of the earlier sessions, and gives the time and memory of all of them.
        on_progress: called after each step.
        on_part: called while pictures are rendered or decoded.
        on_validated: called with the validation pictures done, and of how many.

    Returns:
        the checkpoint's path.

    Raises:
        WorkbenchError: data, model or teacher cannot be used, the state is of a training with other settings (which
            are named), or there is none to finish.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    state_path = config.out.with_name(config.out.name + ".state")
    if finish_now and not state_path.exists():
        raise WorkbenchError(f"expected a training that was begun, to finish it now; there is no {state_path}")
    run = _Run(config, cache, state_path, account or Account(), on_part, on_validated)
    run.restore()
    if not finish_now:
        run.go(on_progress)
    path = run.finish()
    if run.step == run.steps:
        state_path.unlink(missing_ok=True)
    return path


class _Run:
    """One training: its data, its networks and its state."""

    def __init__(
        self,
        config: TrainConfig,
        cache: Path | None,
        state_path: Path,
        account: Account,
        on_part: OnPart | None,
        on_validated: OnPart | None,
    ) -> None:
        self.config, self.state_path, self.account, self.on_validated = config, state_path, account, on_validated
        twins = without_twins(config.data, config.val) if config.deduplicate else frozenset[Path]()
        source = open_source(config.data, Split.TRAIN, twins)
        torch.manual_seed(config.seed)
        self.module, self.info = self._student(source.labels)
        self.teacher, teacher_info = self._teacher(source.labels)
        self.spec = self.info.input  # size of the augmented pictures; the smaller network sees them scaled down
        if teacher_info is not None and teacher_info.input.width > self.spec.width:
            self.spec = teacher_info.input
        kept = self.spec
        if config.pictures is not None:
            kept = msgspec.structs.replace(kept, width=config.pictures[0], height=config.pictures[1])
        self.teacher_spec = teacher_info.input if teacher_info is not None else None
        load = {"labels": self.info.labels, "folder": cache, "workers": config.render_workers, "on_part": on_part}
        self.view = view = View(config.view or self.info.view)
        finding = Finding.given(config.detector, config.boxes)
        learnt = looked_at(source, view, kept.width, kept.height, finding=finding)
        self.pixels = load_pixels(learnt, kept, **load)  # type: ignore[arg-type]
        val = open_source(config.val or config.data, Split.ALL if _is_folder(config.val) else Split.VAL)
        val = looked_at(val, view, kept.width, kept.height, paired=True, finding=finding)
        self.looks = 2 if view is View.BOTH else 1
        self.val = load_pixels(val, kept, **load)  # type: ignore[arg-type]
        self.device = torch.device(config.device)
        self.module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = [tensor.detach().clone() for tensor in _floats(self.module)]
        matrices = [p for p in self.module.parameters() if p.ndim > 1]
        others = [p for p in self.module.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
        augmentation = Augmentation().weaker(config.augment)
        self.batches = Batches(self.pixels, self.spec, augmentation, config.batch, config.seed)
        self.steps = config.epochs * self.batches.per_epoch
        self.step = 0
        self.saved_at = time.monotonic()
        self.accuracy = math.nan

    def _student(self, labels: tuple[str, ...]) -> tuple[nn.Module, CheckpointInfo]:
        config, size = self.config, None
        if config.width is not None and config.height is not None:
            size = InputSpec(config.width, config.height, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        options = config.model_options
        return create_model(config.model, pretrained=config.pretrained, labels=labels, input=size, options=options)

    def _teacher(self, labels: tuple[str, ...]) -> tuple[nn.Module | None, CheckpointInfo | None]:
        if self.config.teacher is None:
            return None, None
        module, info = load_checkpoint(self.config.teacher)
        if info.labels != labels:
            raise WorkbenchError(
                f"expected a teacher with the data's classes ({', '.join(labels)}); "
                f"{self.config.teacher} has {', '.join(info.labels)}"
            )
        module.requires_grad_(False)
        return module.to(self.config.device, memory_format=torch.channels_last), info  # type: ignore[call-overload]

    def settings(self) -> dict[str, str]:
        """What decides the result."""
        return {**self.config.settings(), "pictures to learn": str(len(self.pixels))}

    def restore(self) -> None:
        """Load the saved state, if there is one."""
        state = read_state(self.state_path, self.settings(), self.device)
        if state is None:
            return
        self.module.load_state_dict(state.module)
        self.optimizer.load_state_dict(state.optimizer)
        for mine, saved in zip(self.average, state.average, strict=True):
            mine.copy_(saved)
        self.step = state.step
        self.account.earlier = state.spent
        _log.info("goes on at step %d of %d", self.step, self.steps)

    def save(self) -> None:
        """Write the state, atomically."""
        module, optimizer = self.module.state_dict(), self.optimizer.state_dict()
        state = TrainState(self.settings(), module, optimizer, self.average, self.step, self.account.now())
        state.write(self.state_path)
        self.saved_at = time.monotonic()

    def go(self, on_progress: OnProgress | None) -> None:
        """Run all remaining steps."""
        losses: deque[float] = deque(maxlen=_LOSSES)
        for images, truths in self.batches.between(self.step, self.steps):
            with sound_backward(self.module):
                losses.append(self._learn(images, truths))
            self.step += 1
            epoch, rest = divmod(self.step, self.batches.per_epoch)
            accuracy = self.validate() if rest == 0 else None
            late = time.monotonic() - self.saved_at > SAVE_EVERY_S
            if self.step % self.config.save_every == 0 or accuracy is not None or late:
                self.save()
            if on_progress is not None:
                on_progress(Progress(self.step, self.steps, epoch, sum(losses) / len(losses), accuracy))

    def _learn(self, images: NDArray[np.uint8], truths: NDArray[np.int64]) -> float:
        config = self.config
        torch.manual_seed((config.seed << 32) + self.step)  # dropout and drop-path
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * schedule(self.step, self.steps, config.warmup)
        self.module.train()
        truth = torch.from_numpy(truths).to(self.device)
        inputs = to_tensor(scaled(images, self.info.input), self.info.input, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            logits = self.module(inputs).float()
            loss = self._loss(logits, truth, images)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.module.parameters(), 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise WorkbenchError(f"the loss is {value} at step {self.step}; try a lower learning rate or fp32")
        decay = min(config.average, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, _floats(self.module), 1 - decay)
        return value

    def _loss(self, logits: torch.Tensor, truth: torch.Tensor, images: NDArray[np.uint8]) -> torch.Tensor:
        config = self.config
        if config.deferral is not None:
            return deferral_loss(logits, truth, config.deferral)
        loss = cross_entropy(logits, truth, config.label_smoothing)
        if self.teacher is None or self.teacher_spec is None:
            return loss
        with torch.no_grad():
            said = self.teacher(to_tensor(scaled(images, self.teacher_spec), self.teacher_spec, self.device)).float()
        share = config.teacher_weight
        return (1 - share) * loss + share * teacher_distance(logits, said, config.teacher_temperature)

    def validate(self) -> float:
        """Accuracy of the averaged weights on the validation pictures, as the view has them."""
        own = [tensor.detach().clone() for tensor in _floats(self.module)]
        self._put(self.average)
        bf16 = self.config.precision == "bf16"
        told = self.on_validated
        self.accuracy = accuracy_of(self.module, self.val, self.info.input, looks=self.looks, bf16=bf16, on_done=told)
        self._put(own)
        return self.accuracy

    def _put(self, values: list[torch.Tensor]) -> None:
        with torch.no_grad():
            for tensor, value in zip(_floats(self.module), values, strict=True):
                tensor.copy_(value)

    def finish(self) -> Path:
        """Write the averaged weights as the checkpoint."""
        if math.isnan(self.accuracy):
            self.validate()
        self._put(self.average)
        config = self.config
        module = self.module.to("cpu").eval()
        facts = {
            "data": config.data,
            "pictures": len(self.pixels),
            "epochs": config.epochs,
            "seed": config.seed,
            "teacher": Path(config.teacher).name if config.teacher else "",
            "validation_accuracy": round(self.accuracy, 4),
        }
        facts |= {} if config.deferral is None else {"deferral": config.deferral, "from": Path(config.model).name}
        facts |= {} if self.step == self.steps else {"steps": f"{self.step} of {self.steps}"}
        info = msgspec.structs.replace(
            self.info,
            macs=count_macs(module, self.info.input.width, self.info.input.height),
            parameters=count_parameters(module),
            version=config.version,
            view=self.view.value,
            training=facts,
        )
        return save_checkpoint(config.out, module, info, half=config.half)


def _floats(module: nn.Module) -> list[torch.Tensor]:
    return [tensor for tensor in module.state_dict(keep_vars=True).values() if tensor.is_floating_point()]


def _is_folder(address: str | None) -> bool:
    return address is not None and not address.startswith("simulated://")
