"""When may the little model's answer stand? Temperature and threshold, from pictures whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_sdk.bundle import Policy, Upload, open_bundle, write_policy
from edge_sdk.encode import encode_jpeg
from edge_sdk.errors import WorkbenchError
from edge_sdk.images import decode_image
from edge_sdk.model import LittleModel, prepare
from edge_sdk.workbench.checkpoint import CheckpointInfo, create_model
from edge_sdk.workbench.data import LabelledImage
from edge_sdk.workbench.train import to_tensor

MAX_TEMPERATURE = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What both models say of N labelled pictures.

    Attributes:
        labels: the little model's C class names.
        truths: `int64 (N,)`, index of each picture's class.
        little: `float32 (N, C)`, the bundle's logits in the device's runtime.
        big: `int64 (N,)`, the class that the big model names, after the trip through JPEG.
        upload_bytes: `int64 (N,)`, size of each picture's JPEG.
        groups: each picture's group, such as its light.
    """

    labels: tuple[str, ...]
    truths: NDArray[np.int64]
    little: NDArray[np.float32]
    big: NDArray[np.int64]
    upload_bytes: NDArray[np.int64]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What calibration found.

    Attributes:
        temperature: logits are divided by it.
        threshold: confidence at or above which a frame exits.
        exit_ratio: share of the pictures that exit.
        little_accuracy: share that the little model names rightly.
        cascade_accuracy: the same for little and big together.
        big_accuracy: the same for the big model alone.
        pictures: how many it was found on.
    """

    temperature: float
    threshold: float
    exit_ratio: float
    little_accuracy: float
    cascade_accuracy: float
    big_accuracy: float
    pictures: int

    def sentence(self) -> str:
        """The result in words."""
        return (
            f"At T = {self.threshold:.4f}, {self.exit_ratio:.1%} of frames exit; "
            f"accuracy little {self.little_accuracy:.1%}, cascade {self.cascade_accuracy:.1%}, "
            f"big {self.big_accuracy:.1%} (temperature {self.temperature:.3f}, {self.pictures} pictures)."
        )


def run_both(
    little: LittleModel,
    big: nn.Module,
    big_info: CheckpointInfo,
    pictures: Iterable[LabelledImage],
    *,
    upload: Upload,
    batch: int = 32,
    on_done: Callable[[int], None] | None = None,
) -> Outcomes:
    """Run the device's little model and the cloud's big one on the same pictures.

    The big model sees what the cloud would see: the picture after the device's encoding.

    Args:
        little: the bundle in the device's runtime.
        big: the big network, in eval mode.
        big_info: what it is; its labels must be the little model's, in any order.
        pictures: those without a label are passed over.
        upload: how pictures travel.
        batch: pictures per pass of the big network.
        on_done: told how many pictures are done.

    Raises:
        WorkbenchError: no labelled pictures, a class that the models do not know, or labels of the two that differ.
    """
    labels = little.labels
    if set(labels) != set(big_info.labels):
        raise WorkbenchError(
            f"expected a big model with the little one's labels ({', '.join(labels)}); got {', '.join(big_info.labels)}"
        )
    order = np.array([labels.index(label) for label in big_info.labels])
    truths: list[int] = []
    logits: list[NDArray[np.float32]] = []
    answers: list[int] = []
    sizes: list[int] = []
    groups: list[str] = []
    for some in _batches(pictures, batch):
        seen = []
        for picture in some:
            if picture.label not in labels:
                raise WorkbenchError(
                    f"expected classes among {', '.join(labels)}; got {picture.label!r} in {picture.source}"
                )
            truths.append(labels.index(picture.label))
            logits.append(little.logits(picture.image))
            data = encode_jpeg(picture.image, max_side=upload.max_side, quality=upload.quality)
            sizes.append(len(data))
            groups.append(picture.group)
            seen.append(prepare(decode_image(data).image, big_info.input))
        with torch.inference_mode():
            named = big(to_tensor(np.stack(seen), big_info.input)).argmax(1).cpu().numpy()
        answers.extend(int(order[index]) for index in named)
        if on_done is not None:
            on_done(len(truths))
    if not truths:
        raise WorkbenchError("expected labelled pictures; got none")
    return Outcomes(labels, np.array(truths), np.stack(logits), np.array(answers), np.array(sizes), tuple(groups))


def _batches(pictures: Iterable[LabelledImage], size: int) -> Iterator[list[LabelledImage]]:
    labelled = (picture for picture in pictures if picture.label is not None)
    while some := list(islice(labelled, size)):
        yield some


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Softmax of `float32 (N, C)` logits over the temperature, in the arithmetic of `LittleModel.predict`."""
    scaled = logits / np.float32(temperature)
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
    return result


def fit_temperature(logits: NDArray[np.float32], truths: NDArray[np.int64]) -> float:
    """The temperature, 1/20 to 20, of least negative log-likelihood (Guo et al., arXiv 1706.04599, section 4.2).

    The likelihood is concave in 1 / temperature, so bisection of its slope finds the optimum.

    Args:
        logits: `float32 (N, C)`.
        truths: `int64 (N,)`.
    """
    exact = logits.astype(np.float64)
    wanted = exact[np.arange(len(truths)), truths]

    def slope(inverse: float) -> float:
        weights = np.exp(inverse * (exact - exact.max(axis=1, keepdims=True)))
        expected = (weights * exact).sum(axis=1) / weights.sum(axis=1)
        return float((wanted - expected).mean())

    low, high = 1 / MAX_TEMPERATURE, MAX_TEMPERATURE
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return 2 / (low + high)


def lossless_threshold(
    confidences: NDArray[np.float32],
    little_right: NDArray[np.bool_],
    big_right: NDArray[np.bool_],
    *,
    margin: float = 0.0,
) -> float:
    """The lowest threshold at which the cascade is no worse than the big model alone.

    The rule of Little-Big (Liu et al., arXiv 2406.17117, section 3). Exact: every threshold that tells two pictures
    apart is looked at, after one sort.

    Args:
        confidences: `float32 (N,)` of the little model.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        margin: the cascade must be better than the big model by this share of the pictures.

    Returns:
        one of the confidences, or, where none will do, a value above them all (1 at most: only certainty exits).
    """
    order = np.argsort(-confidences, kind="stable")
    ordered = confidences[order]
    # After the k most confident pictures have exited, the cascade has won so many more than the big model alone.
    won = np.cumsum(little_right[order].astype(np.int64) - big_right[order].astype(np.int64))
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    good = np.flatnonzero(last_of_ties & (won >= margin * len(ordered)))
    if len(good):
        return float(ordered[good[-1]])
    return min(1.0, float(np.nextafter(ordered[0], np.float32(2))))


def calibrate(outcomes: Outcomes, *, margin: float = 0.0) -> Calibration:
    """Temperature and threshold for the outcomes of both models on calibration pictures."""
    temperature = fit_temperature(outcomes.little, outcomes.truths)
    confidences = probabilities(outcomes.little, temperature).max(axis=1)
    little_right = outcomes.little.argmax(axis=1) == outcomes.truths
    big_right = outcomes.big == outcomes.truths
    threshold = lossless_threshold(confidences, little_right, big_right, margin=margin)
    return judge(outcomes, temperature, threshold)


def judge(outcomes: Outcomes, temperature: float, threshold: float) -> Calibration:
    """How little, cascade and big fare at a given temperature and threshold."""
    exits = probabilities(outcomes.little, temperature).max(axis=1) >= threshold
    little_right = outcomes.little.argmax(axis=1) == outcomes.truths
    big_right = outcomes.big == outcomes.truths
    return Calibration(
        temperature=temperature,
        threshold=threshold,
        exit_ratio=float(exits.mean()),
        little_accuracy=float(little_right.mean()),
        cascade_accuracy=float(np.where(exits, little_right, big_right).mean()),
        big_accuracy=float(big_right.mean()),
        pictures=len(outcomes.truths),
    )


def calibrate_bundle(
    path: str | Path,
    big: str,
    pictures: Iterable[LabelledImage],
    *,
    upload: Upload | None = None,
    margin: float = 0.0,
    on_done: Callable[[int], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Calibration:
    """Calibrate a bundle against a big model and write its `policy.json`.

    Args:
        path: the bundle's folder.
        big: the big model's checkpoint, or a timm name (then with pretrained weights).
        pictures: labelled ones; both models must not have been trained on them.
        upload: how pictures will travel; default: as the bundle's policy says.
        margin: see `lossless_threshold`.
        on_done: told how many pictures are done.
        now: the date for the record.

    Raises:
        BundleError: the bundle cannot be used or written.
        WorkbenchError: the big model or the pictures cannot be used.
    """
    bundle = open_bundle(path)
    module, info = create_model(big, pretrained=not big.endswith(".safetensors"))
    upload = upload or bundle.policy.upload
    with LittleModel(bundle) as little:
        outcomes = run_both(little, module, info, pictures, upload=upload, on_done=on_done)
    found = calibrate(outcomes, margin=margin)
    facts: dict[str, float | int | str] = {
        "rule": "lossless",
        "margin": margin,
        "date": now().date().isoformat(),
        "pictures": found.pictures,
        "exit_ratio": round(found.exit_ratio, 4),
        "little_accuracy": round(found.little_accuracy, 4),
        "cascade_accuracy": round(found.cascade_accuracy, 4),
        "big_accuracy": round(found.big_accuracy, 4),
        "big": f"{info.arch} {info.version}",
    }
    policy = Policy(
        threshold=found.threshold,
        temperature=found.temperature,
        upload=upload,
        big_macs=info.macs,
        calibration=facts,
    )
    write_policy(bundle.path, policy)
    return found
