"""The tables and the picture of benchmarks/specialize.py."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table
from specialize_jobs import PLACES, VARIANTS, Bench, kept

from edge_sdk.model.bundle import Bundle, open_bundle
from edge_sdk.model.inputs import prepare
from edge_sdk.model.little import LittleModel
from edge_sdk.networks.macs import count_macs
from edge_sdk.workbench.cascade.confidence import softmax
from edge_sdk.workbench.cascade.curve import cascade_curve, lossless
from edge_sdk.workbench.draw import CORAL, GREY, NAVY, TEAL
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.specialize.answers import answers
from edge_sdk.workbench.specialize.bundles import Bundles, bundle_accuracy, packed_bytes, time_bundles
from edge_sdk.workbench.specialize.restrict_head import restrict
from edge_sdk.workbench.specialize.samples import Samples

COLUMNS = ("big", "one shot", "specialist", "int8 bundle", "control", "from nothing")
DROP = 0.01
ROUNDS = 9  # of timing; the median counts
AGAINST = ("big", "control", "from nothing")


def spread(values: Sequence[float]) -> str:
    """Mean and, of several draws, standard deviation, in points."""
    if len(values) < 2:
        return "".join(f"{100 * value:.1f}" for value in values)
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}"


def new_table(title: str, columns: Sequence[str]) -> Table:
    """For RESULTS.md."""
    table = Table(title=title, title_justify="left", box=box.MARKDOWN)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def accuracies(bench: Bench, options: argparse.Namespace, shots: int, console: Console) -> None:
    """Specialists, control and networks from nothing; the last columns are points above."""
    headers = (*COLUMNS, *(f"above {name}" for name in AGAINST))
    table = new_table(
        f"{shots} photos a class: right on held-out photos, %, mean and deviation of {options.seeds} draws",
        ("place", *headers),
    )
    means: dict[str, list[float]] = {}
    for place in options.places:
        rows = found(bench, options, shots, place)
        shown = [spread(rows.get(header, [])) for header in headers[1:]]
        table.add_row(f"{place} ({len(PLACES[place])})", spread(rows.get("big", [])).split(" ")[0], *shown)
        for header, drawn in rows.items():
            means.setdefault(header, []).append(float(np.mean(drawn)))
    table.add_row("mean", *(spread(means.get(header, [])).split(" ")[0] for header in headers))
    console.print(table)


def found(bench: Bench, options: argparse.Namespace, shots: int, place: str) -> dict[str, list[float]]:
    """By column the values of all draws."""
    rows: dict[str, list[float]] = {}
    for seed in range(options.seeds):
        name = (place, str(shots), str(seed))
        made = _read(bench.out, ("specialist", *name))
        values = (
            made.get("big"),
            made.get("statistics"),
            made.get("distillation"),
            made.get("int8"),
            _read(bench.out, ("control", str(len(PLACES[place]) * shots), str(seed))).get(place),
            _read(bench.out, ("scratch", *name)).get("scratch"),
        )
        known = {column: value for column, value in zip(COLUMNS, values, strict=True) if value is not None}
        small = known.get("specialist")  # in float32, as control and from nothing
        for rival in AGAINST:
            mine = known.get("int8 bundle", small) if rival == "big" else small
            if mine is not None and rival in known:
                known[f"above {rival}"] = mine - known[rival]
        for column, value in known.items():
            rows.setdefault(column, []).append(value)
    return rows


def _read(folder: Path, job: tuple[str, ...]) -> dict[str, Any]:
    path = kept(folder, job)
    return dict(json.loads(path.read_text())) if path.exists() else {}


def latencies(bench: Bench, options: argparse.Namespace, console: Console) -> None:
    """The int8 bundles against the big model's, in turns, one thread."""
    columns = ("place", "parameters", "fewer", "MACs", "fewer", "model.pte", "smaller", "ms", "big, ms", "faster")
    table = new_table("int8 bundles in the device's runtime, one thread, in turns", columns)
    faster, right = [], []
    for place in options.places:
        bundle = _big_bundle(bench, place)
        right.append(
            bundle_accuracy(bundle, bench.held_out(place)) - _read(bench.out, ("specialist", place, "16", "0"))["big"]
        )
        whole = bundle.manifest
        for seed in range(options.seeds):
            small = bench.out / f"{place}-16-{seed}"
            if not small.exists():
                continue
            rounds = [time_bundles({"big": bundle, "small": open_bundle(small)}) for _ in range(ROUNDS)]
            times = {name: float(np.median([one[name] for one in rounds])) for name in rounds[0]}
            manifest = open_bundle(small).manifest
            sizes = [part.stat().st_size for part in (bundle.model_path, small / "model.pte")]
            faster.append(float(np.median([one["big"] / one["small"] for one in rounds])))
            table.add_row(
                f"{place} {seed}",
                f"{manifest.parameters:,}",
                f"{whole.parameters / manifest.parameters:.1f}x",
                f"{manifest.macs / 1e6:.1f} M",
                f"{whole.macs / manifest.macs:.1f}x",
                f"{sizes[1] / 1e6:.2f} MB",
                f"{sizes[0] / sizes[1]:.1f}x",
                f"{times['small']:.2f}",
                f"{times['big']:.2f}",
                f"{faster[-1]:.2f}x",
            )
    console.print(table)
    console.print(
        f"faster: {min(faster):.2f}x to {max(faster):.2f}x, mean {np.mean(faster):.2f}x; the big model's own int8 "
        f"bundles: {100 * np.mean(right):+.1f} points against it in float32"
    )


def _big_bundle(bench: Bench, place: str) -> Bundle:
    folder = bench.out / f"big-{place}"
    if not folder.exists():
        whole = restrict(bench.big, bench.members(place))
        Bundles(bench.samples(PLACES[place], [Split.TRAIN], 16, 0), bench.spec, bench.allow).write(whole, folder, "big")
    return open_bundle(folder)


def roundings(bench: Bench, options: argparse.Namespace, console: Console) -> None:
    """Joint rounding against the exporter's."""
    columns = ("place", "joint: right", "divergence", "nearest: right", "divergence")
    table = new_table("Rounding to int8: right on held-out photos, %, and divergence from float32, 1e-3 nats", columns)
    for place in options.places:
        found = _read(bench.out, ("nearest", place))
        if found:
            cells = [(100 * found[name]["right"], 1e3 * found[name]["divergence"]) for name in ("16-0", "nearest")]
            table.add_row(place, *(text for right, far in cells for text in (f"{right:.1f}", f"{far:.2f}")))
    console.print(table)


def variants(bench: Bench, options: argparse.Namespace, console: Console) -> None:
    """Other methods, and the default's first draw."""
    columns = ("place", "method", "weights", "MACs", "one shot", "taught", "int8 bundle", "model.pte", "zipped", "ms")
    table = new_table("Other methods, 16 photos a class, first draw", columns)
    for place in options.variants:
        for kind in ("default", *VARIANTS):
            found = _read(
                bench.out, ("specialist", place, "16", "0") if kind == "default" else ("variant", place, kind)
            )
            if not found:
                continue
            bundle = open_bundle(bench.out / (f"{place}-16-0" if kind == "default" else f"{place}-{kind}"))
            shot = next(value for stage, value in found.items() if stage.startswith("statistics"))
            taught = [value for stage, value in found.items() if stage.startswith("distillation")][-1]
            times = time_bundles({"big": _big_bundle(bench, place), "small": bundle})
            table.add_row(
                place,
                kind,
                f"{found.get('weights', found.get('parameters')):,}",
                f"{found['macs'] / 1e6:.1f} M",
                *(f"{100 * value:.1f}" for value in (shot, taught, found["int8"])),
                f"{bundle.model_path.stat().st_size / 1e6:.2f} MB",
                f"{packed_bytes(bundle) / 1e6:.2f} MB",
                f"{times['small']:.2f} of {times['big']:.2f}",
            )
    console.print(table)


class Place(NamedTuple):
    """A cascade at one place."""

    exits: float
    macs: float  # per frame, as a share of the big model's
    lost: float  # accuracy
    equal: float  # exits where every little model may lose as much


def cascades(bench: Bench, options: argparse.Namespace, console: Console) -> None:
    """Specialists against general little models where the cascade is to be as right as the big model alone."""
    generals = [folder for folder in sorted(bench.littles.glob("slim*")) if folder.is_dir()]
    names = [*(folder.name for folder in generals), "specialist"]
    table = new_table(
        "In a cascade at the big model's accuracy: exits / MACs of the big model's / points lost; the threshold is "
        "from calibration photos",
        ("place", "big", *names),
    )
    means: dict[str, list[Place]] = {name: [] for name in names}
    for place in options.places:
        whole = restrict(bench.big, bench.members(place))
        splits = [bench.samples(PLACES[place], [Split.CALIBRATION]), bench.held_out(place)]
        rights = [answers(whole, part, bench.spec).argmax(1).numpy() == part.truths for part in splits]
        macs = count_macs(whole, bench.spec.width, bench.spec.height)
        for folder in generals:
            means[folder.name].append(_exits(folder, place, splits, rights, macs))
        drawn = [bench.out / f"{place}-16-{seed}" for seed in range(options.seeds)]
        found = [_exits(folder, place, splits, rights, macs) for folder in drawn if folder.exists()]
        means["specialist"].append(_mean(found))
        table.add_row(place, f"{100 * rights[1].mean():.1f}", *(_point(means[name][-1]) for name in names))
    table.add_row("mean", "", *(_point(_mean(means[name])) for name in names))
    console.print(table)
    table = new_table(f"Exits at equal accuracy: each cascade loses at most {100 * DROP:g} points", ("place", *names))
    for number, place in enumerate(options.places):
        table.add_row(place, *(f"{100 * means[name][number].equal:.0f}%" for name in names))
    table.add_row("mean", *(f"{100 * _mean(means[name]).equal:.0f}%" for name in names))
    console.print(table)


def _mean(points: Sequence[Place]) -> Place:
    return Place(*(float(value) for value in np.mean(points, 0)))


def _point(place: Place) -> str:
    return f"{100 * place.exits:.0f}% / {100 * place.macs:.0f}% / {100 * place.lost:+.1f}"


def _exits(folder: Path, place: str, splits: Sequence[Samples], rights: Sequence[np.ndarray], big_macs: int) -> Place:
    """On held-out photos, with a threshold from calibration photos; at equal accuracy, with one from the held-out."""
    with LittleModel(folder) as model:
        columns = [model.labels.index(label) for label in PLACES[place]]  # a general model is told where it stands
        spec = model.manifest.input
        chances = []
        for part in splits:
            logits = np.stack([model.logits(prepare(image, spec))[columns] for image in part.images])
            chances.append(softmax(logits))
        macs = model.macs
    curves = [
        cascade_curve(
            chance.max(1).astype(np.float64),
            chance.argmax(1) == part.truths,
            right,
            little_macs=macs,
            big_macs=big_macs,
        )
        for chance, part, right in zip(chances, splits, rights, strict=True)
    ]
    point = curves[1].at(lossless(curves[0]).threshold)
    cost = (macs + (1 - point.exit_ratio) * big_macs) / big_macs
    lost = float(rights[1].mean()) - point.accuracy
    return Place(point.exit_ratio, cost, lost, lossless(curves[1], drop=DROP).exit_ratio)


def print_tables(bench: Bench, options: argparse.Namespace, console: Console) -> None:
    """What there is so far."""
    for shots in options.shots:
        accuracies(bench, options, shots, console)
    if 16 in options.shots:
        latencies(bench, options, console)
        roundings(bench, options, console)
        if options.variants:
            variants(bench, options, console)
        cascades(bench, options, console)
    if options.picture:
        draw(bench, options)


def draw(bench: Bench, options: argparse.Namespace) -> None:
    """Each place at 16 photos a class, and the mean of all places by photos a class."""
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    bars, lines = figure.subplots(1, 2, width_ratios=[3, 2])
    kinds = {
        "big": ("big model", NAVY),
        "specialist": ("specialist", TEAL),
        "control": ("the same on generic photos", CORAL),
        "from nothing": ("its shape, trained from nothing", GREY),
    }
    by_shots = {
        shots: {place: found(bench, options, shots, place) for place in options.places} for shots in options.shots
    }
    for number, (kind, (label, colour)) in enumerate(kinds.items()):
        drawn = [[100 * value for value in by_shots[16][place].get(kind, [])] for place in options.places]
        where = np.arange(len(options.places)) + 0.2 * (number - 1.5)
        errors = [np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in drawn]
        bars.bar(where, [np.mean(values or [0.0]) for values in drawn], 0.2, yerr=errors, color=colour, label=label)
        means = {
            shots: np.mean([100 * np.mean(rows[kind]) for rows in places.values() if rows.get(kind)])
            for shots, places in sorted(by_shots.items())
            if all(rows.get(kind) for rows in places.values())
        }
        lines.plot(list(means), list(means.values()), marker="o", color=colour, label=label)
    bars.set_xticks(range(len(options.places)), [f"{place}\n{len(PLACES[place])} classes" for place in options.places])
    bars.set_ylabel("right on held-out photos, %")
    bars.set_title("16 photos a class", fontsize=10)
    lines.set_xscale("log", base=2)
    lines.set_xticks(sorted(options.shots), [str(shots) for shots in sorted(options.shots)])
    lines.set_xlabel("photos a class")
    lines.set_title("mean of all places", fontsize=10)
    lines.legend(fontsize=8, frameon=False)
    for axis in (bars, lines):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(options.picture, dpi=110)
