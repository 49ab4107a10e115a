"""The settings of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from edge_sdk.errors import WorkbenchError


class TrainConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a training. Two runs with the same settings see the same pictures in the same order.

    Attributes:
        data: address of the training pictures (`edge_sdk.workbench.data`).
        out: the checkpoint to write, `.safetensors`.
        model: timm's name, or a checkpoint to start from.
        val: address of the validation pictures; default: the validation split of `data`.
        pretrained: start from timm's pretrained weights.
        model_options: keyword arguments for timm's `create_model`, such as `{"global_pool": "avgmax"}`.
        width: of the input, pixels; default: the model's own.
        height: of the input, pixels; default: the model's own.
        pictures: width and height of the pictures cached on disk, which several trainings can share; default: the
            larger of the model's and the teacher's input.
        epochs: passes over the data.
        batch: pictures per step.
        learning_rate: the peak.
        weight_decay: on weights of two dimensions or more.
        warmup: share of the steps in which the learning rate rises.
        label_smoothing: in [0, 1).
        average: decay per step of the moving average of the weights.
        teacher: a checkpoint whose output is learnt beside the truth.
        teacher_weight: share of the teacher in the loss.
        teacher_temperature: both outputs are divided by it before they are compared.
        deferral: tune for deferral (`edge_sdk.workbench.losses.deferral_loss`) with this weight of the right answers,
            in (0, 1); the model is then a trained checkpoint, and there is no teacher. None: learn the classes.
        deduplicate: leave out of the training pictures those that are nearly the same as one of another split, or that
            lie under two classes (`edge_sdk.workbench.twins`).
        view: what of a picture the network looks at. With "region" and "both" it learns the surroundings of regions,
            where the data says where something moved, and the validation accuracy is that of this view. None: as the
            checkpoint to start from says, else the frame.
        detector: folder of a detector's bundle, asked about photos in which bursts give no region.
        boxes: file of MegaDetector's results, whose boxes are the regions of photos.
        augment: strength of the changes to pictures, in [0, 1]; small networks and large data sets need less.
        seed: of weights, order and augmentation.
        precision: number format of the forward pass; "bf16" runs it under autocast.
        device: "cpu" or "cuda".
        threads: CPU threads; 0: torch's own choice.
        render_workers: processes that render or decode the pictures, once.
        save_every: steps between two saves of the state; slow steps are saved once a minute.
        half: store the weights in float16.
        version: of the checkpoint.
    """

    data: str
    out: Path
    model: str
    val: str | None = None
    pretrained: bool = False
    model_options: dict[str, Any] = {}
    width: int | None = None
    height: int | None = None
    pictures: tuple[int, int] | None = None
    epochs: int = 20
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    label_smoothing: float = 0.05
    average: float = 0.998
    teacher: str | None = None
    teacher_weight: float = 0.7
    teacher_temperature: float = 2.0
    deferral: float | None = None
    deduplicate: bool = False
    view: Literal["frame", "region", "both"] | None = None
    detector: str | None = None
    boxes: Path | None = None
    augment: float = 1.0
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 0
    render_workers: int = 1
    save_every: int = 100
    half: bool = False
    version: str = ""

    def __post_init__(self) -> None:
        if self.out.suffix != ".safetensors":
            raise WorkbenchError(f"expected an output that ends in .safetensors; got {self.out}")
        for name in ("epochs", "batch", "save_every"):
            if getattr(self, name) < 1:
                raise WorkbenchError(f"expected {name} of 1 or more; got {getattr(self, name)}")
        if (self.width is None) != (self.height is None):
            raise WorkbenchError(f"expected both width and height or neither; got {self.width} and {self.height}")
        if self.deferral is not None and not 0 < self.deferral < 1:
            raise WorkbenchError(f"expected a weight between 0 and 1 for deferral; got {self.deferral}")
        if self.deferral is not None and self.teacher is not None:
            raise WorkbenchError("expected a teacher or deferral, each of which is a loss of its own; got both")

    def settings(self) -> dict[str, str]:
        """The settings that decide the result, as text by name."""
        free = ["threads", "render_workers", "save_every", "out"]
        free += [
            name for name in ("view", "detector", "boxes") if getattr(self, name) is None
        ]  # older states lack them
        values = msgspec.structs.asdict(self)
        return {name: str(values[name]) for name in sorted(values) if name not in free}
