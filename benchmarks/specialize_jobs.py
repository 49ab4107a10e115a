"""What benchmarks/specialize.py runs: specialists, what they are compared with, and their bundles."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edge_sdk.durable.files import write_whole
from edge_sdk.model.bundle import Bundle, open_bundle
from edge_sdk.networks.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.folder_source import split_of
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.learning_rate import schedule
from edge_sdk.workbench.specialize.allocate import Limits
from edge_sdk.workbench.specialize.answers import accuracy, answers
from edge_sdk.workbench.specialize.bundles import Bundles, bundle_accuracy, bundle_logits
from edge_sdk.workbench.specialize.compress import measure_and_compress
from edge_sdk.workbench.specialize.method import Compressed, Method
from edge_sdk.workbench.specialize.restrict_head import restrict
from edge_sdk.workbench.specialize.samples import Samples, draw_shots, read_samples
from edge_sdk.workbench.specialize.sensitivity import divergence
from edge_sdk.workbench.specialize.specialist import rounded
from edge_sdk.workbench.tensors import to_tensor

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
    """The big model and the photos.

    Args:
        out: the folder of all.
        name: the big model's checkpoint in it.
        allow: operators that may run outside XNNPACK.
    """

    def __init__(self, out: Path, name: str, allow: Sequence[str]) -> None:
        self.out = out / ("specialists" if name == "resnet18" else f"specialists-{name}")
        self.photos = out / "wildlife96"
        self.littles = out / "bundles"
        self.big, self.info = load_checkpoint(out / f"{name}.safetensors")
        self.spec = self.info.input
        self.allow = tuple(allow)
        self._held_out: dict[str, Samples] = {}

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

    def held_out(self, place: str) -> Samples:
        """The place's photos that are judged on, read once."""
        if place not in self._held_out:
            self._held_out[place] = self.samples(PLACES[place], JUDGED)
        return self._held_out[place]

    def right(self, module: nn.Module, place: str) -> float:
        """Share of them that a network names rightly."""
        return accuracy(module, self.held_out(place), self.spec)

    def generic(self, count: int, seed: int) -> Samples:
        """So many photos of all classes, as evenly as can be."""
        each = -(-count // len(self.info.labels))
        drawn = self.samples(self.info.labels, [Split.TRAIN], each, seed)
        order = np.random.default_rng([seed, count]).permutation(len(drawn))[:count]
        return Samples(drawn.images[order], drawn.truths[order], drawn.labels)

    def members(self, place: str) -> list[list[int]]:
        """The place's classes among the big model's."""
        return [[self.info.labels.index(label)] for label in PLACES[place]]


def limits(bench: Bench, module: nn.Module, pattern: str = "structured") -> Limits:
    """A tenth of the parameters; MACs for a bundle three times as fast, which zeros do not make."""
    if pattern != "structured":
        return Limits(int(count_parameters(module) / FEWER_PARAMETERS) if pattern == "unstructured" else None, None)
    macs = count_macs(module, bench.spec.width, bench.spec.height)
    return Limits(int(count_parameters(module) / FEWER_PARAMETERS), int(macs / FEWER_MACS))


def cut(
    bench: Bench, whole: nn.Module, samples: Samples, method: Method, name: str
) -> tuple[Compressed, dict[str, nn.Module]]:
    """Compress; the small network, and what it was at each stage."""
    folder = bench.out / "work" / name
    stages: dict[str, nn.Module] = {}
    small = measure_and_compress(
        whole,
        samples,
        bench.spec,
        limits(bench, whole, method.pattern),
        method,
        folder,
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
    shutil.rmtree(folder)
    return small, stages


def specialist(bench: Bench, place: str, shots: int, seed: int) -> dict[str, Any]:
    """One specialist; with 16 photos a class as an int8 bundle too."""
    whole = restrict(bench.big, bench.members(place))
    samples = bench.samples(PLACES[place], [Split.TRAIN], shots, seed)
    name = f"{place}-{shots}-{seed}"
    small, stages = cut(bench, whole, samples, Method(seed=seed), name)
    found: dict[str, Any] = {stage: bench.right(module, place) for stage, module in stages.items()}
    found |= {"big": bench.right(whole, place), "parameters": count_parameters(small.module)}
    found["macs"] = count_macs(small.module, bench.spec.width, bench.spec.height)
    if shots == 16:
        bundle = bundle_of(bench, small, samples, name, Method(seed=seed))
        found["int8"] = bundle_accuracy(bundle, bench.held_out(place))
    return found


def bundle_of(bench: Bench, small: Compressed, samples: Samples, name: str, method: Method) -> Bundle:
    """As the command writes it."""
    state = bench.out / "work" / f"{name}-rounded.pt"
    module = rounded(small, samples, bench.spec, method, state).module
    state.unlink(missing_ok=True)
    return Bundles(samples, bench.spec, bench.allow).write(module, bench.out / name, name)


def control(bench: Bench, count: int, seed: int) -> dict[str, Any]:
    """The same compression on generic photos, judged at every place of as many classes."""
    small, _ = cut(bench, bench.big, bench.generic(count, seed), Method(seed=seed), f"control-{count}-{seed}")
    places = [place for place, labels in PLACES.items() if count % len(labels) == 0]
    return {place: bench.right(restrict(small.module, bench.members(place)), place) for place in places}


def scratch(bench: Bench, place: str, shots: int, seed: int) -> dict[str, Any]:
    """The specialist's shape with fresh weights, trained on the same photos and their classes."""
    torch.manual_seed(seed)
    module, _ = load_checkpoint(bench.out / f"{place}-{shots}-{seed}.safetensors")
    for layer in module.modules():
        if callable(reset := getattr(layer, "reset_parameters", None)):
            reset()
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
    return {"scratch": bench.right(module.eval(), place)}


def nearest(bench: Bench, place: str) -> dict[str, Any]:
    """How far the answers of bundles are from the network's on held-out photos, rounded jointly and by the exporter."""
    small, _ = load_checkpoint(bench.out / f"{place}-16-0.safetensors")
    samples, held_out = bench.samples(PLACES[place], [Split.TRAIN], 16, 0), bench.held_out(place)
    folder = bench.out / f"{place}-nearest"
    Bundles(samples, bench.spec, bench.allow).write(small, folder, folder.name)
    exact, found = answers(small, held_out, bench.spec), {}
    for name in ("nearest", "16-0"):
        logits = torch.from_numpy(bundle_logits(open_bundle(bench.out / f"{place}-{name}"), held_out))
        right = float((logits.argmax(1).numpy() == held_out.truths).mean())
        found[name] = {"right": right, "divergence": divergence(exact, logits)}
    return found


def variant(bench: Bench, place: str, kind: str) -> dict[str, Any]:
    """Another method on the first draw of 16 photos a class."""
    whole = restrict(bench.big, bench.members(place))
    if kind == "answers":
        samples = unlabelled(bench, whole, place, 16)
    else:
        samples = bench.samples(PLACES[place], [Split.TRAIN], 16, 0)
    name = f"{place}-{kind}"
    small, stages = cut(bench, whole, samples, VARIANTS[kind], name)
    found: dict[str, Any] = {stage: bench.right(module, place) for stage, module in stages.items()}
    bundle = bundle_of(bench, small, samples, name, VARIANTS[kind])
    found["int8"] = bundle_accuracy(bundle, bench.held_out(place))
    found["weights"] = sum(int(weight.count_nonzero()) for weight in small.module.parameters())
    found["macs"] = count_macs(small.module, bench.spec.width, bench.spec.height)
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


def run(bench: tuple[Path, str, Sequence[str]], job: tuple[str, ...], arguments: tuple[Any, ...]) -> tuple[str, ...]:
    """One job in a process of its own, one thread."""
    torch.set_num_threads(1)
    kinds = {
        "specialist": specialist,
        "control": control,
        "scratch": scratch,
        "nearest": nearest,
        "variant": variant,
    }
    opened = Bench(*bench)
    found = kinds[job[0]](opened, *arguments)  # type: ignore[operator]
    write_whole(kept(opened.out, job), lambda fresh: fresh.write_text(json.dumps(found, indent=1)))
    return job


def kept(folder: Path, job: tuple[str, ...]) -> Path:
    """Where a job's result is."""
    return folder / f"{'-'.join(job)}.json"
