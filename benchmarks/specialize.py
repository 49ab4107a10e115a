"""Few-shot specialists of a big model on real photos: six places, 4, 16 and 64 photos a class, three draws.

    python benchmarks/specialize.py --out wildlife [--jobs 2] [--shots 16 4 64] [--seeds 3]

OUT is the folder of benchmarks/wildlife.py, whose resnet18 (40 classes, its own test split) is the big model. For each
place: the specialist; the control, the same compression on as many photos of all classes; and a network of the
specialist's shape trained from nothing on the same photos. All are judged on the place's validation and test photos,
on neither of which anything was chosen. Stopped at any moment, the same command goes on where it was; each part is kept
in OUT/specialists.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional

from edge_sdk.bundle import open_bundle
from edge_sdk.model import LittleModel, prepare
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.cascade.curve import cascade_curve, lossless
from edge_sdk.workbench.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from edge_sdk.workbench.data import Split, split_of
from edge_sdk.workbench.macs import count_macs, count_parameters
from edge_sdk.workbench.specialize.allocate import Limits
from edge_sdk.workbench.specialize.bundles import Bundles, bundle_accuracy, time_bundles
from edge_sdk.workbench.specialize.compress import Method, answers, compress, weigh
from edge_sdk.workbench.specialize.cost import Cost
from edge_sdk.workbench.specialize.head import restrict
from edge_sdk.workbench.specialize.samples import Samples, draw_shots, read_samples
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
FEWER_PARAMETERS, FEWER_MACS = 10.0, 5.2
SCRATCH_STEPS = 600


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


def method(seed: int) -> Method:
    """The command's defaults."""
    return Method(seed=seed)


def accuracy(bench: Bench, module: nn.Module, place: str) -> float:
    """On the place's photos that are judged on."""
    test = bench.samples(PLACES[place], JUDGED)
    return float((answers(module, test, bench.spec).argmax(1).numpy() == test.truths).mean())


def limits(bench: Bench, module: nn.Module) -> Limits:
    """A tenth of the parameters; MACs for a bundle three times as fast."""
    macs = count_macs(module, bench.spec.width, bench.spec.height)
    return Limits(int(count_parameters(module) / FEWER_PARAMETERS), int(macs / FEWER_MACS))


def cut(bench: Bench, whole: nn.Module, samples: Samples, seed: int, name: str) -> tuple[nn.Module, dict[str, Any]]:
    """Compress; the stages' accuracy is judged by the caller's place, if there is one."""
    structure = find_structure(whole, bench.spec.width, bench.spec.height)
    folder = bench.out / "work" / name
    damages = weigh(whole, structure, samples, bench.spec, method(seed), folder / "round-0")
    stages: dict[str, nn.Module] = {}
    small = compress(
        whole,
        whole,
        samples,
        bench.spec,
        limits(bench, whole),
        method(seed),
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
    small, stages = cut(bench, whole, samples, seed, name)
    found: dict[str, Any] = {stage: accuracy(bench, module, place) for stage, module in stages.items()}
    found |= {"big": accuracy(bench, whole, place), "parameters": count_parameters(small)}
    found["macs"] = count_macs(small, bench.spec.width, bench.spec.height)
    found["fewer"] = count_parameters(whole) / found["parameters"]
    if shots == 16:
        small, info = load_checkpoint(bench.out / f"{name}.safetensors")
        bundle = Bundles(samples, bench.spec).write(small, bench.out / name, name, info.version)
        found["int8"] = bundle_accuracy(bundle, bench.samples(PLACES[place], JUDGED))
    return found


def control(out: Path, count: int, seed: int) -> dict[str, Any]:
    """The same compression on generic photos, judged at every place of as many classes."""
    bench = Bench(out)
    shots = {(len(labels), count // len(labels)) for labels in PLACES.values() if count % len(labels) == 0}
    small, _ = cut(bench, bench.big, bench.generic(count, seed), seed, f"control-{count}-{seed}")
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


def run(out: Path, job: tuple[str, ...], arguments: tuple[Any, ...]) -> tuple[str, ...]:
    """One job in a process of its own, one thread."""
    torch.set_num_threads(1)
    kind = {"specialist": specialist, "control": control, "scratch": scratch}[job[0]]
    found = kind(out, *arguments)
    path = kept(out, job)
    path.with_suffix(".partial").write_text(json.dumps(found, indent=1))
    path.with_suffix(".partial").replace(path)
    return job


def kept(out: Path, job: tuple[str, ...]) -> Path:
    """Where a job's result is."""
    return out / "specialists" / f"{'-'.join(job)}.json"


def jobs(options: argparse.Namespace) -> list[tuple[tuple[str, ...], tuple[Any, ...]]]:
    """All jobs, the most wanted first."""
    found: list[tuple[tuple[str, ...], tuple[Any, ...]]] = []
    for shots in options.shots:
        specialists, controls, scratches = [], [], []
        for seed in range(options.seeds):
            for place in options.places:
                name = (place, str(shots), str(seed))
                specialists.append((("specialist", *name), (place, shots, seed)))
                scratches.append((("scratch", *name), (place, shots, seed)))
            for count in sorted({len(PLACES[place]) * shots for place in options.places}):
                controls.append((("control", str(count), str(seed)), (count, seed)))
        found += specialists
        if "control" not in options.without:
            found += controls
        if "scratch" not in options.without:
            found += scratches
    return [job for job in found if not kept(options.out, job[0]).exists()]


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over the draws, in points."""
    if not values:
        return ""
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1) if len(values) > 1 else 0:.1f}"


def tables(options: argparse.Namespace, console: Console) -> None:
    """What there is so far."""
    for shots in options.shots:
        table = Table(title=f"{shots} photos a class: right on test photos, %", title_justify="left")
        columns = (
            "place",
            "classes",
            "big",
            "one shot",
            "specialist",
            "int8 bundle",
            "control",
            "from nothing",
            "lost",
        )
        for column in columns:
            table.add_column(column, justify="left" if column == "place" else "right")
        everything: dict[str, list[float]] = {name: [] for name in columns[2:]}
        for place in options.places:
            rows: dict[str, list[float]] = {name: [] for name in columns[2:]}
            for seed in range(options.seeds):
                name = (place, str(shots), str(seed))
                found = _read(options.out, ("specialist", *name))
                other = _read(options.out, ("control", str(len(PLACES[place]) * shots), str(seed)))
                for column, value in (
                    ("big", found.get("big")),
                    ("untaught", found.get("statistics")),
                    ("specialist", found.get("lessons")),
                    ("int8 bundle", found.get("int8")),
                    ("control", other.get(place)),
                    ("from nothing", _read(options.out, ("scratch", *name)).get("scratch")),
                    ("lost", found["big"] - found.get("int8", found["lessons"]) if found else None),
                ):
                    if value is not None:
                        rows[column].append(value)
                        everything[column].append(value)
            big = f"{100 * rows['big'][0]:.1f}" if rows["big"] else ""
            table.add_row(place, str(len(PLACES[place])), big, *(spread(rows[name]) for name in columns[3:]))
        table.add_section()
        table.add_row("mean", "", *(spread(everything[name]).split(" ")[0] for name in columns[2:]))
        console.print(table)


def _read(out: Path, job: tuple[str, ...]) -> dict[str, Any]:
    path = kept(out, job)
    return dict(json.loads(path.read_text())) if path.exists() else {}


def latencies(bench: Bench, options: argparse.Namespace, console: Console) -> None:
    """The int8 bundles against the big model's, in turns, one thread."""
    table = Table(title="int8 bundles in the device's runtime, one thread, in turns", title_justify="left")
    for column in ("place", "parameters", "fewer", "MACs", "fewer", "model.pte", "ms", "big, ms", "faster"):
        table.add_column(column, justify="left" if column == "place" else "right")
    for place in options.places:
        big = bench.out / f"big-{place}"
        whole = restrict(bench.big, bench.members(place))
        if not big.exists():
            Bundles(bench.samples(PLACES[place], [Split.TRAIN], 16, 0), bench.spec).write(whole, big, "big")
        whole_cost = Cost(whole, find_structure(whole, bench.spec.width, bench.spec.height), 96, 96)
        for seed in range(options.seeds):
            small = bench.out / f"{place}-16-{seed}"
            if not small.exists():
                continue
            times = time_bundles({"big": open_bundle(big), "small": open_bundle(small)})
            manifest = open_bundle(small).manifest
            table.add_row(
                f"{place} {seed}",
                f"{manifest.parameters:,}",
                f"{whole_cost.parameters / manifest.parameters:.1f}x",
                f"{manifest.macs / 1e6:.1f} M",
                f"{whole_cost.macs / manifest.macs:.1f}x",
                f"{(small / 'model.pte').stat().st_size / 1e6:.2f} MB",
                f"{times['small']:.2f}",
                f"{times['big']:.2f}",
                f"{times['big'] / times['small']:.2f}x",
            )
    console.print(table)


def cascades(bench: Bench, options: argparse.Namespace, console: Console) -> None:
    """Exit ratio at the big model's accuracy, specialist against general models; the threshold is from other photos."""
    generals = [folder for folder in sorted((bench.out.parent / "bundles").glob("slim*")) if folder.is_dir()]
    table = Table(title="In a cascade: exits / points lost on test photos", title_justify="left")
    table.add_column("place")
    table.add_column("big", justify="right")
    for name in [folder.name for folder in generals] + ["specialist"]:
        table.add_column(name, justify="right")
    ratios: dict[str, list[float]] = {}
    for place in options.places:
        whole = restrict(bench.big, bench.members(place))
        splits = [bench.samples(PLACES[place], part) for part in ([Split.CALIBRATION], JUDGED)]
        rights = [answers(whole, part, bench.spec).argmax(1).numpy() == part.truths for part in splits]
        cells = []
        for folder in generals:
            cells.append(_exits(folder, place, splits, rights, ratios, folder.name))
        seeds = [bench.out / f"{place}-16-{seed}" for seed in range(options.seeds)]
        parts = [_exits(folder, place, splits, rights, ratios, "specialist") for folder in seeds if folder.exists()]
        exits = np.mean([part[0] for part in parts]), np.mean([part[1] for part in parts])
        shown = [f"{100 * one[0]:.1f} / {100 * one[1]:+.1f}" for one in (*cells, exits)]
        table.add_row(place, f"{100 * rights[1].mean():.1f}", *shown)
    table.add_section()
    table.add_row("mean exits", "", *(f"{100 * np.mean(ratios[name]):.1f}" for name in ratios))
    console.print(table)


def _exits(
    folder: Path,
    place: str,
    splits: Sequence[Samples],
    rights: Sequence[np.ndarray],
    ratios: dict[str, list[float]],
    name: str,
) -> tuple[float, float]:
    with LittleModel(folder) as model:
        columns = [model.labels.index(label) for label in PLACES[place]]  # a general model is told where it stands
        spec = model.manifest.input
        chances = []
        for part in splits:
            logits = np.stack([model.logits(prepare(image, spec))[columns] for image in part.images])
            weights = np.exp(logits - logits.max(1, keepdims=True))
            chances.append(weights / weights.sum(1, keepdims=True))
        macs = {"little_macs": model.macs, "big_macs": 333_000_000}
    curves = [
        cascade_curve(chance.max(1).astype(np.float64), chance.argmax(1) == part.truths, right, **macs)
        for chance, part, right in zip(chances, splits, rights, strict=True)
    ]
    point = curves[1].at(lossless(curves[0]).threshold)
    ratios.setdefault(name, []).append(point.exit_ratio)
    return point.exit_ratio, float(rights[1].mean()) - point.accuracy


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("wildlife"), help="folder of benchmarks/wildlife.py")
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread")
    parser.add_argument("--shots", type=int, nargs="+", default=[16, 4, 64])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--without", nargs="+", choices=["control", "scratch"], default=[])
    parser.add_argument("--tables", action="store_true", help="print what there is, and run nothing")
    options = parser.parse_args()
    console = Console(width=140)
    bench = Bench(options.out)
    bench.out.mkdir(parents=True, exist_ok=True)
    if not options.tables:
        missing = jobs(options)
        with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = [pool.submit(run, options.out, name, arguments) for name, arguments in missing]
            for number, future in enumerate(as_completed(futures)):
                console.print(f"{number + 1} of {len(missing)}: {' '.join(future.result())}")
    tables(options, console)
    latencies(bench, options, console)
    cascades(bench, options, console)


if __name__ == "__main__":
    main()
