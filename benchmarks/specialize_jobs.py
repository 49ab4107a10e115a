"""What benchmarks/specialize.py runs: specialists, what they are compared with, and their bundles."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edge_sdk.bundle import Bundle
from edge_sdk.model import LittleModel
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from edge_sdk.workbench.data import Split, split_of
from edge_sdk.workbench.macs import count_macs, count_parameters
from edge_sdk.workbench.specialize.allocate import Limits
from edge_sdk.workbench.specialize.answers import answers
from edge_sdk.workbench.specialize.bundles import Bundles, bundle_accuracy, packed_bytes
from edge_sdk.workbench.specialize.compress import compress, weigh
from edge_sdk.workbench.specialize.damage import divergence
from edge_sdk.workbench.specialize.head import restrict
from edge_sdk.workbench.specialize.method import Method
from edge_sdk.workbench.specialize.samples import Samples, draw_shots, read_samples, with_views
from edge_sdk.workbench.specialize.sparsify import round_weights
from edge_sdk.workbench.specialize.structure import find_structure
from edge_sdk.workbench.train import schedule, to_tensor

PLACES = {
    "dogs": ("chihuahua", "german_shepherd", "golden_retriever", "labrador", "standard_poodle", "yorkshire_terrier"),
    "cats": ("cougar", "egyptian_cat", "lion", "persian_cat", "tabby_cat"),
    "primates": ("baboon", "chimpanzee", "orangutan"),
    "hoofed": ("arabian_camel", "bighorn", "bison", "gazelle", "hog", "ox"),
    "birds": ("albatross", "black_stork", "goose", "king_penguin"),
    "vehicles": ("moving_van", "police_van", "school_bus", "sports_car", "tractor"),
    "mixed": ("brown_bear", "bighorn", "cougar", "goose", "hog", "sports_car"),
}
JUDGED = [Split.VAL, Split.TEST]
FEWER_PARAMETERS, FEWER_MACS = 10.0, 4.4
SCRATCH_STEPS = 600
VARIANTS = {
    "even": Method(allocation="even"),
    "gradual": Method(schedule="gradual"),
    "unstructured": Method(pattern="unstructured"),
    "two-of-four": Method(pattern="2:4"),
    "answers": Method(),
}
SURE = 0.8  # of the big model, to be taken as a label


class Bench:
    """The big model and the photos."""

    def __init__(self, out: Path) -> None:
        self.out = out / "specialists"
        self.photos = out / "wildlife96"
        self.big, self.info = load_checkpoint(out / "resnet18.safetensors")
        self.spec = self.info.input

    def samples(
        self, labels: Sequence[str], splits: Sequence[Split], shots: int | None = None, seed: int = 0
    ) -> Samples:
        """Photos of some classes in some splits; `shots` of each where that is given."""
        files = {
            label: [
                photo
                for photo in sorted((self.photos / label).glob("*.JPEG"))
                if split_of(f"{label}/{photo.name}") in splits
            ]
            for label in labels
        }
        if shots is not None:
            files, _ = draw_shots(files, shots, seed)
        return read_samples(files, self.spec)

    def generic(self, count: int, seed: int) -> Samples:
        """So many photos of all classes, as evenly as can be."""
        each = -(-count // len(self.info.labels))
        drawn = self.samples(self.info.labels, [Split.TRAIN], each, seed)
        order = np.random.default_rng([seed, count]).permutation(len(drawn))[:count]
        return Samples(drawn.images[order], drawn.truths[order], drawn.labels)

    def members(self, place: str) -> list[list[int]]:
        """The place's classes among the big model's."""
        return [[self.info.labels.index(label)] for label in PLACES[place]]


def accuracy(bench: Bench, module: nn.Module, place: str) -> float:
    """On the place's photos that are judged on."""
    test = bench.samples(PLACES[place], JUDGED)
    return float((answers(module, test, bench.spec).argmax(1).numpy() == test.truths).mean())


def limits(bench: Bench, module: nn.Module, pattern: str = "structured") -> Limits:
    """A tenth of the parameters; MACs for a bundle three times as fast, which zeros do not make."""
    if pattern != "structured":
        return Limits(int(count_parameters(module) / FEWER_PARAMETERS) if pattern == "unstructured" else None, None)
    macs = count_macs(module, bench.spec.width, bench.spec.height)
    return Limits(int(count_parameters(module) / FEWER_PARAMETERS), int(macs / FEWER_MACS))


def cut(
    bench: Bench, whole: nn.Module, samples: Samples, method: Method, name: str
) -> tuple[nn.Module, dict[str, nn.Module]]:
    """Compress; the small network, and what it was at each stage."""
    structure = find_structure(whole, bench.spec.width, bench.spec.height)
    folder = bench.out / "work" / name
    zeros = method.pattern != "structured"
    damages = {} if zeros else weigh(whole, structure, samples, bench.spec, method, folder / "round-0")
    stages: dict[str, nn.Module] = {}
    small = compress(
        whole,
        whole,
        samples,
        bench.spec,
        limits(bench, whole, method.pattern),
        method,
        damages=damages,
        folder=folder,
        on_stage=lambda stage, module: stages.update({stage: copy.deepcopy(module)}),
    )
    info = CheckpointInfo(
        arch=bench.info.arch,
        options=bench.info.options,
        widths=small.widths,
        labels=tuple(str(index) for index in range(small.module.num_classes)),  # type: ignore[arg-type]
        input=bench.spec,
    )
    save_checkpoint(bench.out / f"{name}.safetensors", small.module, info)
    for path in sorted(folder.rglob("*.*")):
        path.unlink()
    return small.module, stages


def specialist(out: Path, place: str, shots: int, seed: int) -> dict[str, Any]:
    """One specialist; with 16 photos a class as an int8 bundle too."""
    bench = Bench(out)
    whole = restrict(bench.big, bench.members(place))
    samples = bench.samples(PLACES[place], [Split.TRAIN], shots, seed)
    name = f"{place}-{shots}-{seed}"
    small, stages = cut(bench, whole, samples, Method(seed=seed), name)
    found: dict[str, Any] = {stage: accuracy(bench, module, place) for stage, module in stages.items()}
    found |= {"big": accuracy(bench, whole, place), "parameters": count_parameters(small)}
    found["macs"] = count_macs(small, bench.spec.width, bench.spec.height)
    found["fewer"] = count_parameters(whole) / found["parameters"]
    if shots == 16:
        bundle = bundle_of(bench, small, samples, name, Method(seed=seed))
        found["int8"] = bundle_accuracy(bundle, bench.samples(PLACES[place], JUDGED))
    return found


def bundle_of(bench: Bench, module: nn.Module, samples: Samples, name: str, method: Method) -> Bundle:
    """As the command writes it: rounded jointly, unless that would lose zeros."""
    if method.pattern == "structured":
        views = with_views(samples, method.pictures, method.seed)
        module = round_weights(module, views, bench.spec, damping=method.damping, seed=method.seed)
    return Bundles(samples, bench.spec).write(module, bench.out / name, name)


def control(out: Path, count: int, seed: int) -> dict[str, Any]:
    """The same compression on generic photos, judged at every place of as many classes."""
    bench = Bench(out)
    shots = {(len(labels), count // len(labels)) for labels in PLACES.values() if count % len(labels) == 0}
    small, _ = cut(bench, bench.big, bench.generic(count, seed), Method(seed=seed), f"control-{count}-{seed}")
    places = [place for place in PLACES if any(len(PLACES[place]) == classes for classes, _ in shots)]
    return {place: accuracy(bench, restrict(small, bench.members(place)), place) for place in places}


def scratch(out: Path, place: str, shots: int, seed: int) -> dict[str, Any]:
    """The specialist's shape with fresh weights, trained on the same photos and their classes."""
    bench = Bench(out)
    torch.manual_seed(seed)
    module, _ = load_checkpoint(bench.out / f"{place}-{shots}-{seed}.safetensors")
    for layer in module.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    samples = bench.samples(PLACES[place], [Split.TRAIN], shots, seed)
    change, rng = Augmentation(scale=0.6, stretch=0.2), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3, weight_decay=0.05)
    module.train()
    for step in range(SCRATCH_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * schedule(step, SCRATCH_STEPS, 0.05)
        chosen = rng.integers(len(samples), size=32)
        images = np.stack([change.apply(samples.images[index], rng) for index in chosen])
        with torch.autocast("cpu", torch.bfloat16):
            logits = module(to_tensor(images, bench.spec)).float()
        loss = functional.cross_entropy(logits, torch.from_numpy(samples.truths[chosen]), label_smoothing=0.05)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return {"scratch": accuracy(bench, module.eval(), place)}


def nearest(out: Path, place: str) -> dict[str, Any]:
    """How far the answers of bundles are from the network's on held-out photos, rounded jointly and by the exporter."""
    bench = Bench(out)
    small, _ = load_checkpoint(bench.out / f"{place}-16-0.safetensors")
    samples, held_out = bench.samples(PLACES[place], [Split.TRAIN], 16, 0), bench.samples(PLACES[place], JUDGED)
    folder = bench.out / f"{place}-nearest"
    Bundles(samples, bench.spec).write(small, folder, folder.name)
    exact, found = answers(small, held_out, bench.spec), {}
    for name in ("nearest", "16-0"):
        with LittleModel(bench.out / f"{place}-{name}") as model:
            logits = torch.from_numpy(np.stack([model.logits(image) for image in held_out.images]))
        right = float((logits.argmax(1).numpy() == held_out.truths).mean())
        found[name] = {"right": right, "divergence": divergence(exact, logits)}
    return found


def variant(out: Path, place: str, kind: str) -> dict[str, Any]:
    """Another method on the first draw of 16 photos a class."""
    bench = Bench(out)
    whole = restrict(bench.big, bench.members(place))
    if kind == "answers":
        samples = unlabelled(bench, whole, place, 16)
    else:
        samples = bench.samples(PLACES[place], [Split.TRAIN], 16, 0)
    name = f"{place}-{kind}"
    small, stages = cut(bench, whole, samples, VARIANTS[kind], name)
    found: dict[str, Any] = {stage: accuracy(bench, module, place) for stage, module in stages.items()}
    bundle = bundle_of(bench, small, samples, name, VARIANTS[kind])
    found["int8"] = bundle_accuracy(bundle, bench.samples(PLACES[place], JUDGED))
    found["weights"] = sum(int(weight.count_nonzero()) for weight in small.parameters())
    found["macs"] = count_macs(small, bench.spec.width, bench.spec.height)
    found |= {"bytes": bundle.model_path.stat().st_size, "packed": packed_bytes(bundle)}
    return found


def unlabelled(bench: Bench, whole: nn.Module, place: str, shots: int) -> Samples:
    """Photos of the place without their labels; the big model's sure answers take their place."""
    photos = bench.samples(PLACES[place], [Split.TRAIN])
    sure, said = answers(whole, photos, bench.spec).softmax(1).max(1)
    order = np.random.default_rng(0).permutation(len(photos))
    taken: list[int] = []
    for label in range(len(photos.labels)):
        taken += [i for i in order if said[i] == label and sure[i] >= SURE][:shots]
    return Samples(photos.images[taken], said.numpy()[taken], photos.labels)


def run(out: Path, job: tuple[str, ...], arguments: tuple[Any, ...]) -> tuple[str, ...]:
    """One job in a process of its own, one thread."""
    torch.set_num_threads(1)
    kinds = {
        "specialist": specialist,
        "control": control,
        "scratch": scratch,
        "nearest": nearest,
        "variant": variant,
    }
    kind = kinds[job[0]]
    found = kind(out, *arguments)
    path = kept(out, job)
    path.with_suffix(".partial").write_text(json.dumps(found, indent=1))
    path.with_suffix(".partial").replace(path)
    return job


def kept(out: Path, job: tuple[str, ...]) -> Path:
    """Where a job's result is."""
    return out / "specialists" / f"{'-'.join(job)}.json"
