"""From a big model and a bundle to an exit sequence: features, training, search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import torch

from edge_sdk.model.little import LittleModel
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.sequence import SequenceModel, attach_exits
from edge_sdk.networks.sequence_file import save_sequence
from edge_sdk.networks.taps import find_taps
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.sequence.search import Found, find_exits, with_exits
from edge_sdk.workbench.sequence.train import collect_features, fit_temperatures, train_exits


@dataclass(frozen=True, slots=True)
class Made:
    """A sequence that was written, and how it fares.

    Attributes:
        arch: the big model's architecture.
        exits: names of the exits, the device's first and the big model's own last.
        found: thresholds and figures on the test split.
        test_frames: pictures of the test split.
    """

    arch: str
    exits: tuple[str, ...]
    found: Found
    test_frames: int


def make_sequence(
    big: str,
    bundle: str,
    data: str,
    out: Path,
    *,
    pretrained: bool = False,
    exits: int = 4,
    dim: int = 64,
    epochs: int = 40,
    drop: float = 0.0,
    method: str = "circular",
    conservative: float | None = None,
    seed: int = 0,
    cache: Path | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Made:
    """Attach exits to a big model, train them, choose their thresholds and write the sequence.

    Trained on the data's training split, searched on its calibration split, evaluated on its test split. Interrupted
    work continues where it stopped.

    Args:
        big: checkpoint or timm name.
        bundle: the little model's bundle, calibrated.
        data: address of labelled pictures.
        out: the `.safetensors` file to write.
        pretrained: use timm's pretrained weights for a timm name.
        exits: how many exits to attach.
        dim: width of the tokens.
        epochs: of training.
        drop: tolerated loss of accuracy against the big model, in [0, 1].
        method: of the search (`edge_sdk.workbench.cascade.threshold_search.METHODS`).
        conservative: quantile of the Beta distribution that replaces each accuracy; None: the accuracy itself.
        seed: of all random choices.
        cache: folder of features; default: `OUT-features` beside `out`.
        on_progress: called with a step's name, its parts done, and all its parts.

    Raises:
        WorkbenchError: models or data cannot be used.
        BundleError: the bundle cannot be used.
    """
    folder = cache or out.with_name(f"{out.stem}-features")

    def tell(what: str, done: int, of: int) -> None:
        if on_progress is not None:
            on_progress(what, done, of)

    tell("read the models", 0, 0)
    torch.manual_seed(seed)
    network, info = create_model(big, pretrained=pretrained)
    with LittleModel(bundle) as little:
        taps = find_taps(network, info.input.width, info.input.height, most=exits)
        model = attach_exits(network, info, taps, little.labels, dim=dim)
        upload = little.bundle.policy.upload
        train, calibration, test = (
            collect_features(
                model,
                little,
                open_source(data, split),
                folder,
                upload=upload,
                on_done=partial(tell, f"features of the {split} split"),
            )
            for split in (Split.TRAIN, Split.CALIBRATION, Split.TEST)
        )
        state = out.with_name(f"{out.name}.state")
        train_exits(
            model, train, epochs=epochs, seed=seed, state=state, on_epoch=lambda done, of, _: tell("training", done, of)
        )
        tell("choose thresholds", 0, 0)
        temperatures = fit_temperatures(model, calibration)
        model = SequenceModel(model.big, model.exits, msgspec.structs.replace(model.info, temperatures=temperatures))
        found = find_exits(
            model,
            calibration,
            test,
            little_macs=little.macs,
            drop=drop,
            method=method,
            conservative=conservative,
        )
    save_sequence(out, with_exits(model, found))
    return Made(info.arch, ("device", *model.info.exit_names), found, len(test))
