"""A specialist of EfficientNet-Lite2 for eight coarse groups of animals, from 16 photos a group.

    python benchmarks/specialize_groups.py [--data FOLDER] [--out groups] [--side 160] [--steps 600] [--unlabelled 2000]

FOLDER is an unpacked `wildlife64/train` (CLASS/*.JPEG); without --data, `wildlife64-train.tar` of EDGE_SDK_DATA is
unpacked into --out. Weights of ImageNet: the extra `photos`. A hash of each file's name sets a fifth of the photos
apart, of which as many of each group are judged on; 16 a group of the others are the task, and --unlabelled more of
them, whose classes are not told, are the distillation's in the second specialist. Rows: Lite2 and Lite0 with a head
that is the mean of each group's rows, or with their classes' probabilities summed, in float32 and int8; the specialists
in float32 and in the device's runtime. These photos are of ImageNet's own training set, made small: that flatters
networks that learned from it whole, more than what was made of them from few. Stopped at any moment, the same command
goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from data_archives import unpacked
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats
from torch import nn

from edge_sdk.model.bundle import Bundle, InputSpec, open_bundle
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.grouped import summed
from edge_sdk.networks.label_groups import label_group
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.workbench.cascade.paired import paired_difference
from edge_sdk.workbench.folder_source import split_of
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.photos import BIG_WEIGHTS, LITTLE_WEIGHTS, PackagedWeights
from edge_sdk.workbench.specialize.allocate import Limits
from edge_sdk.workbench.specialize.answers import right_answers
from edge_sdk.workbench.specialize.bundles import Bundles, right_of_bundle
from edge_sdk.workbench.specialize.compress import measure_and_compress
from edge_sdk.workbench.specialize.method import Method
from edge_sdk.workbench.specialize.recipe import Recipe
from edge_sdk.workbench.specialize.restrict_head import restrict, restrict_finely
from edge_sdk.workbench.specialize.samples import Samples, draw_shots, joined, members_of, read_samples
from edge_sdk.workbench.specialize.specialist import rounded

GROUPS = {
    "bear": ("brown_bear",),
    "bird": ("albatross", "black_stork", "goose", "king_penguin"),
    "cat": ("cougar", "egyptian_cat", "lion", "persian_cat", "tabby_cat"),
    "dog": ("chihuahua", "german_shepherd", "golden_retriever", "labrador", "standard_poodle", "yorkshire_terrier"),
    "elephant": ("african_elephant",),
    "herptile": ("alligator", "boa", "bullfrog", "fire_salamander", "tailed_frog"),
    "hoofed": ("arabian_camel", "bighorn", "bison", "gazelle", "hog", "ox"),
    "primate": ("baboon", "chimpanzee", "orangutan"),
}
OF_IMAGENET = {
    "big cat": "cat",
    "hoofed animal": "hoofed",
    "monkey or ape": "primate",
    "reptile or amphibian": "herptile",
}
SHOTS, FEWER, MOST_EACH = 16, 10.0, 50
FIRST = "specialist"
Right = NDArray[np.bool_]


def photos(data: Path, splits: Sequence[Split]) -> dict[str, list[Path]]:
    """Photos of each group in some splits."""
    return {
        group: [
            photo
            for name in names
            for photo in sorted((data / name).glob("*.JPEG"))
            if split_of(f"{name}/{photo.name}") in splits
        ]
        for group, names in GROUPS.items()
    }


def label_map() -> dict[str, str]:
    """From ImageNet's classes to the groups; a class of none of them keeps its name."""
    kinds = {label: OF_IMAGENET.get(kind, kind) for label, kind in label_group("animals").items()}
    return {label: kind for label, kind in kinds.items() if kind in GROUPS}


class Bench:
    """The photos and the rows.

    Args:
        data: class folders.
        out: folder of what is done.
        side: of the input, pixels.
        unlabelled: number of photos without a class.
    """

    def __init__(self, data: Path, out: Path, side: int, unlabelled: int) -> None:
        self.out = out
        self.spec = InputSpec(side, side, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "crop")
        judged, _ = draw_shots(photos(data, [Split.VAL, Split.TEST]), MOST_EACH, 0)
        used, rest = draw_shots(photos(data, [Split.TRAIN]), SHOTS, 0)
        self.test, self.task = read_samples(judged, self.spec), read_samples(used, self.spec)
        more = sorted((file for files in rest.values() for file in files), key=_rank)[:unlabelled]
        self.more = read_samples({"": more}, self.spec) if more else None
        self.rows: dict[str, tuple[nn.Module, Right, int]] = {}

    def network(self, weights: PackagedWeights) -> tuple[nn.Module, list[tuple[int, ...]]]:
        """A network with ImageNet's classes, and which of them each group has."""
        module, info = create_model(f"{weights.arch}={weights.path}", input=self.spec)
        return module, list(members_of(self.task.labels, info.labels, label_map()))

    def kept(self, name: str, make: Callable[[], Right]) -> Right:
        """Which photos are named rightly, from a file where that is known."""
        file = self.out / "right" / f"{name}.npy"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, make())
        found: Right = np.load(file)
        return found

    def float_row(self, name: str, module: nn.Module) -> None:
        """Judge a network in float32."""
        right = self.kept(name, lambda: right_answers(module, self.test, self.spec))
        self.rows[name] = (module, right, 4 * count_parameters(module))

    def int8_row(self, name: str, module: nn.Module, sums: Sequence[int], *, best: bool) -> None:
        """Judge its bundle in the device's runtime; `best`: exported with the most effort."""
        folder = self.out / name.replace(" ", "-").replace(",", "")

        def bundle() -> Bundle:
            if (folder / "manifest.json").exists():
                return open_bundle(folder)
            return Bundles(self.task, self.spec, sums=sums).write(module, folder, folder.name, spare=best)

        right = self.kept(name, lambda: right_of_bundle(bundle(), self.test))
        self.rows[name] = (module, right, bundle().model_path.stat().st_size)


def _rank(path: Path) -> bytes:
    return hashlib.sha256(path.name.encode()).digest()


def specialist(bench: Bench, name: str, method: Method, lessons: Samples, console: Console) -> None:
    """A tenth of the parameters of Lite2 with the groups' classes alone, its sums, and its bundle."""
    module, members = bench.network(BIG_WEIGHTS)
    sums = [len(group) for group in members]
    whole = restrict_finely(module, members)

    def told(what: str, done: int, of: int) -> None:
        if done == of or (done and done % 100 == 0):
            console.print(f"{name}: {what}, {done} of {of}", highlight=False)

    def judged(stage: str, made: nn.Module) -> None:
        share = right_answers(summed(made, sums), bench.test, bench.spec).mean()
        console.print(f"{name}: {stage}: {share:.1%}", highlight=False)

    work, first = (bench.out / "work" / part.replace(" ", "-") for part in (name, FIRST))
    if first.exists() and not work.exists():  # the cut is the same
        shutil.copytree(first, work, ignore=shutil.ignore_patterns("distil*", "views", "rounded.pt"))
    small = measure_and_compress(
        whole,
        bench.task,
        bench.spec,
        Limits(int(count_parameters(whole) / FEWER), None),
        method,
        work,
        distilled_on=lessons,
        on_progress=told,
        on_stage=judged,
    )
    bench.float_row(name, summed(small.module, sums))
    rounded_to = rounded(small, bench.task, bench.spec, method, work / "rounded.pt", told)
    bench.int8_row(f"{name}, int8", rounded_to.module, sums, best=True)


def print_table(bench: Bench, console: Console) -> None:
    """All rows, each against Lite2's sums too."""
    table = Table("", "weights", "MMAC", "MB", "right (95%)", "against Lite2's sums")
    reference = bench.rows["Lite2, summed"][1]
    for name, (module, right, size) in bench.rows.items():
        low, high = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        table.add_row(
            name,
            f"{count_parameters(module) / 1e6:.2f} M",
            f"{count_macs(module, bench.spec.width, bench.spec.height) / 1e6:.0f}",
            f"{size / 1e6:.2f}",
            f"{100 * right.mean():.1f}% ({100 * low:.1f} to {100 * high:.1f})",
            paired_difference(right, reference).points(),
        )
    console.print(table)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="default: unpacked from EDGE_SDK_DATA")
    parser.add_argument("--out", type=Path, default=Path("groups"))
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--unlabelled", type=int, default=2000, help="0: no specialist with more photos")
    parser.add_argument("--batch", type=int, default=Recipe().batch)
    parser.add_argument("--learning-rate", type=float, default=Recipe().learning_rate)
    parser.add_argument("--mixed", type=float, default=Recipe().mixed, help="share of views that are blends")
    parser.add_argument("--strength", type=float, default=Recipe().strength, help="of the views' changes")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    console = Console(width=160)
    data = options.data or unpacked("wildlife64-train", options.out, "wildlife64") / "train"
    bench = Bench(data, options.out, options.side, options.unlabelled)
    method = Method(
        recipe=Recipe(
            steps=options.steps,
            batch=options.batch,
            learning_rate=options.learning_rate,
            bf16=False,
            mixed=options.mixed,
            strength=options.strength,
        )
    )
    specialist(bench, FIRST, method, bench.task, console)
    if bench.more is not None:
        lessons = joined(bench.task, bench.more)
        specialist(bench, f"specialist with {len(bench.more)} more", method, lessons, console)
    for name, weights in (("Lite2", BIG_WEIGHTS), ("Lite0", LITTLE_WEIGHTS)):
        module, members = bench.network(weights)
        fine, sums = restrict_finely(module, members), [len(group) for group in members]
        bench.float_row(f"{name}, head of means", restrict(module, members))
        bench.float_row(f"{name}, summed", summed(fine, sums))
        bench.int8_row(f"{name}, summed, int8", fine, sums, best=False)
    print_table(bench, console)


if __name__ == "__main__":
    main()
