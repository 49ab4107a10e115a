"""Training of exit sequences: features are computed once, then the exits alone are trained, which takes minutes.

The big model is frozen, so its features and logits and the little model's probabilities are computed once for each
picture and stored on disk. A stopped training resumes after its last full epoch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.images.encode import encode
from edge_sdk.images.read import decode_image
from edge_sdk.images.rendition import Upload
from edge_sdk.model.inputs import prepare
from edge_sdk.model.little import LittleModel
from edge_sdk.networks.sequence import SequenceModel
from edge_sdk.workbench.cascade.confidence import fit_temperature
from edge_sdk.workbench.changed_settings import changes
from edge_sdk.workbench.labelled import LabelledImage, Source
from edge_sdk.workbench.learning_rate import schedule
from edge_sdk.workbench.photo_classes import few, meaning_in
from edge_sdk.workbench.tensors import to_tensor

_BATCH = 32
_MIN_WEIGHT = 0.05

OnDone = Callable[[int, int], None]
OnEpoch = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features, logits and probabilities of N pictures.

    Attributes:
        exits: per exit `float32 (N, C_i)`, pooled features.
        big: `float32 (N, C)`, logits of the big model, in its order of labels.
        little: `float32 (N, C)`, calibrated probabilities of the little model, in its own order.
        truths: `int64 (N,)`, in the big model's order.
    """

    exits: tuple[NDArray[np.float32], ...]
    big: NDArray[np.float32]
    little: NDArray[np.float32]
    truths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truths)


def collect_features(
    model: SequenceModel,
    little: LittleModel,
    source: Source,
    folder: Path,
    *,
    upload: Upload,
    on_done: OnDone | None = None,
) -> Features:
    """Compute the features of all labelled pictures of a source; parts that are on disk already are read.

    Args:
        model: the big model with its exits' places.
        little: the bundle, which sees each picture as it is.
        source: labelled pictures.
        folder: in which parts are stored.
        upload: the big model sees each picture after this encoding, as the server does.
        on_done: called with the pictures done, and of how many at most.

    Raises:
        WorkbenchError: no labelled picture, or a class that the models do not know.
    """
    key = _key(model, little, source, upload)
    sizes = [source.size(part) for part in range(source.parts)]

    def tell(before: int, done: int) -> None:
        if on_done is not None:
            on_done(before + done, sum(sizes))

    parts = []
    for part, size in enumerate(sizes):
        before = sum(sizes[:part])
        tell(before, 0)
        path = folder / key / f"{part:05d}-{size}.npz"
        if not path.exists():
            _write_part(model, little, source.read(part), path, upload, partial(tell, before))
        with np.load(path) as file:
            parts.append({name: file[name] for name in file.files})
        tell(before, size)
    if not any(len(part["truths"]) for part in parts):
        raise WorkbenchError("expected labelled pictures; got none")
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    exits = tuple(whole[f"exit{index}"] for index in range(len(model.info.modules)))
    return Features(exits, whole["big"], whole["little"], whole["truths"])


def _key(model: SequenceModel, little: LittleModel, source: Source, upload: Upload) -> str:
    digest = hashlib.sha256()
    digest.update(msgspec.json.encode((model.info.modules, model.info.big, upload, little.bundle.policy.temperature)))
    for name, tensor in sorted(model.big.state_dict().items()):
        digest.update(f"{name} {float(tensor.double().sum())!r}".encode())
    digest.update(f"{little.manifest.sha256} {source.key}".encode())
    return digest.hexdigest()[:16]


def _write_part(
    model: SequenceModel,
    little: LittleModel,
    pictures: Iterable[LabelledImage],
    path: Path,
    upload: Upload,
    on_done: Callable[[int], None],
) -> None:
    labels, spec = model.info.big.labels, model.info.big.input
    exits: list[list[NDArray[np.float32]]] = [[np.zeros((0, c), np.float32)] for c in model.info.channels]
    big = [np.zeros((0, len(labels)), np.float32)]
    said: list[NDArray[np.float32]] = []
    truths: list[int] = []
    meaning = meaning_in(labels)
    labelled = (picture for picture in pictures if picture.label is not None)
    while some := list(islice(labelled, _BATCH)):
        named = [str(meaning(picture.label)) for picture in some]
        if unknown := sorted(set(named) - set(labels)):
            raise WorkbenchError(f"expected classes among {few(labels)}; the data also has {few(unknown)}")
        seen = [prepare(decode_image(encode(picture.image, upload)).image, spec) for picture in some]
        found, logits = model.features(to_tensor(np.stack(seen), spec))
        for index, one in enumerate(found):
            exits[index].append(one.numpy())
        big.append(logits.numpy())
        said += [little.predict(picture.image).probabilities for picture in some]
        truths += [labels.index(name) for name in named]
        on_done(len(truths))
    arrays = {f"exit{index}": np.concatenate(values) for index, values in enumerate(exits)}
    arrays["big"] = np.concatenate(big)
    arrays["little"] = np.stack(said) if said else np.zeros((0, len(labels)), np.float32)
    arrays["truths"] = np.array(truths, np.int64)
    write_whole(path, partial(np.savez, **arrays))  # type: ignore[arg-type]


def train_exits(
    model: SequenceModel,
    features: Features,
    *,
    epochs: int = 40,
    batch: int = 256,
    learning_rate: float = 2e-3,
    teacher_weight: float = 0.5,
    seed: int = 0,
    state: Path | None = None,
    on_epoch: OnEpoch | None = None,
) -> None:
    """Train the exits in place; the big model does not change.

    The loss at each exit is the cross-entropy, mixed with the distance to the big model's output, and weighted by how
    unsure the little model was of the picture (arXiv 2403.17726, section 3.3): frames that it is sure of never reach
    the cloud.

    Args:
        model: its exits are trained.
        features: of the training pictures.
        epochs: passes over them.
        batch: pictures per step.
        learning_rate: the peak of a cosine with warm-up.
        teacher_weight: share of the big model's output in the loss.
        seed: of order and dropout.
        state: file of the training's state, from which it resumes; removed at the end.
        on_epoch: called with the epoch, the number of epochs, and the epoch's mean loss.

    Raises:
        WorkbenchError: the state is of another training.
    """
    exits = model.exits
    optimizer = torch.optim.AdamW(exits.parameters(), lr=learning_rate, weight_decay=0.02)
    inputs = [torch.from_numpy(one) for one in features.exits]
    truths, teacher = torch.from_numpy(features.truths), functional.softmax(torch.from_numpy(features.big), dim=1)
    chances = torch.from_numpy(features.little)
    little = model.little_logits(chances)
    weights = (1 - chances.amax(1)).clamp(min=_MIN_WEIGHT)
    settings = {
        "epochs": str(epochs),
        "batch": str(batch),
        "learning rate": str(learning_rate),
        "teacher's weight": str(teacher_weight),
        "seed": str(seed),
        "pictures": str(len(features)),
        "exits": ", ".join(model.info.modules),
    }
    steps_per_epoch = max(1, -(-len(features) // batch))
    first = 0
    if state is not None and state.exists():
        saved = torch.load(state, weights_only=True)
        if changed := changes(saved["settings"], settings):
            raise WorkbenchError(
                f"{state} is of a training with other settings: {'; '.join(changed)}. Give those to go on, or delete "
                "the file to begin anew"
            )
        exits.load_state_dict(saved["exits"])
        optimizer.load_state_dict(saved["optimizer"])
        first = int(saved["epoch"])
    for epoch in range(first, epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(features))
        torch.manual_seed((seed << 20) + epoch)  # dropout
        exits.train()
        total = 0.0
        for step in range(steps_per_epoch):
            mine = torch.from_numpy(order[step * batch : (step + 1) * batch])
            for group in optimizer.param_groups:
                rate = schedule(epoch * steps_per_epoch + step, epochs * steps_per_epoch, 0.05)
                group["lr"] = learning_rate * rate
            logits = exits([one[mine] for one in inputs], little[mine])
            loss = _loss(logits, truths[mine], teacher[mine], weights[mine], teacher_weight)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise WorkbenchError(f"the loss is {total} in epoch {epoch + 1}; try a lower learning rate")
        if state is not None:
            _save_state(state, settings, exits, optimizer, epoch + 1)
        if on_epoch is not None:
            on_epoch(epoch + 1, epochs, total / steps_per_epoch)
    exits.eval()
    if state is not None:
        state.unlink(missing_ok=True)


def _loss(
    logits: torch.Tensor, truths: torch.Tensor, teacher: torch.Tensor, weights: torch.Tensor, teacher_weight: float
) -> torch.Tensor:
    """Mean over pictures and exits of the weighted mixture."""
    exits = logits.shape[1]
    flat = logits.flatten(0, 1)
    truth = functional.cross_entropy(flat, truths.repeat_interleave(exits), reduction="none")
    soft = functional.cross_entropy(flat, teacher.repeat_interleave(exits, 0), reduction="none")
    mixed = (1 - teacher_weight) * truth + teacher_weight * soft
    weighted = mixed * weights.repeat_interleave(exits)
    return weighted.sum() / weights.sum() / exits


def _save_state(path: Path, settings: dict[str, str], exits: torch.nn.Module, optimizer: object, epoch: int) -> None:
    state = {
        "settings": settings,
        "exits": exits.state_dict(),
        "optimizer": optimizer.state_dict(),  # type: ignore[attr-defined]
        "epoch": epoch,
    }
    write_whole(path, partial(torch.save, state))


@torch.inference_mode()
def exit_logits(model: SequenceModel, features: Features) -> NDArray[np.float32]:
    """`float32 (N, exits, C)` logits of every exit, in the big model's order of labels."""
    little = model.little_logits(torch.from_numpy(features.little))
    result: NDArray[np.float32] = model.exits([torch.from_numpy(one) for one in features.exits], little).numpy()
    return result


def fit_temperatures(model: SequenceModel, features: Features) -> tuple[float, ...]:
    """The temperature of each exit on held-out pictures."""
    logits = exit_logits(model, features)
    return tuple(fit_temperature(logits[:, index], features.truths) for index in range(logits.shape[1]))
