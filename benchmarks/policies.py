"""Who may go to the cloud under a budget: replay of records with real sizes, against other policies and oracles.

    python benchmarks/policies.py [--records FOLDER] [--out policies.png] [--frames 8000] [--seeds 2]

Five days of frames under budgets of 2% to 50% of the bytes that all of them would take, every policy beneath the same
hard cap (the sum over every window of a day). The frames are drawn from records of the shipped pair on the simulated
camera; gains come from records that are not replayed. Four kinds of arrival: stationary; drifting (from easy to hard
and back); bursty (visits of 60 frames within seconds); daily (ten times as many by day as by night).

Policies: ours (`Prices` over a real `Ledger`, late choice from a queue in the spool's order); ours without prices (late
choice alone); a fixed threshold; a rolling quantile of the confidence; at random; HI-LCB (a lower confidence bound on
the little model's accuracy per bin of confidence, learnt from the cloud's answers; Al-Atat et al., arXiv 2304.00891,
as bandit); drift-plus-penalty with a virtual queue (Neely, 2010); EXP4 over thresholds with that queue in the reward
(Auer et al., 2002). The first two oracles know every gain beforehand: one need not keep the windows (an upper bound),
one does (each frame, best first, at the first moment at which it fits). The last knows who is right.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from policy_rules import DAY_S, DAYS, POLICIES, Calibration, World
from rich.console import Console
from rich.progress import track
from rich.table import Table

import cloud_server
from edge_sdk.model.bundle import open_bundle
from edge_sdk.types import View
from edge_sdk.workbench.cascade.confidence import fit_temperature
from edge_sdk.workbench.cascade.gate import fit_gate, gains
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.draw import honest_percentages
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.recorder import run_subjects
from edge_sdk.workbench.records import Records
from edge_sdk.workbench.records_file import load_records, save_records
from edge_sdk.workbench.subjects import open_subject

BIG = Path(cloud_server.__file__).parent / "models" / "trailcam" / "model.safetensors"
DATA = "simulated://trailcam?seed=0&frames=5000&streams=1&stride=6"
SHARES = (0.02, 0.05, 0.1, 0.2, 0.5)
SCENARIOS = ("stationary", "drifting", "bursty", "daily")
STYLES = {"ours": ("C3", "-", 2.2), "random": ("grey", "-", 1.0), "gain oracle": ("black", "--", 1.2)}
ORACLES = ("gain oracle, no windows", "gain oracle", "truth oracle")


def oracle(world: World, worth: np.ndarray, limit: int, windows: bool) -> tuple[np.ndarray, int]:
    """Frames sent, best first, by worth per byte: within the sum, or at the first moment at which every window fits."""
    order = np.argsort(-worth / world.n_bytes, kind="stable")
    order = order[worth[order] > 0]
    sent = np.zeros(len(worth), np.bool_)
    if not windows:
        taken = order[np.cumsum(world.n_bytes[order]) <= limit * DAYS]
        sent[taken] = True
        return sent, int(world.n_bytes[taken].sum())
    slots = 256
    last = int(world.at_s[-1] / DAY_S * slots)
    filled = np.zeros(last + slots + 2)
    total = 0
    for index in order:
        size, first = world.n_bytes[index], int(world.at_s[index] / DAY_S * slots)
        place = first
        if filled[place : place + slots + 1].max() + size > limit:
            views = np.lib.stride_tricks.sliding_window_view(filled[first : last + slots + 1], slots + 1)
            fits = np.flatnonzero(views.max(axis=1) + size <= limit)
            if not len(fits):
                continue
            place = first + int(fits[0])
        filled[place : place + slots + 1] += size
        sent[index] = True
        total += int(size)
    return sent, total


def accuracy(world: World, sent: np.ndarray) -> float:
    """Share of the frames that are named rightly in the end."""
    return float(np.where(sent, world.big, world.little).mean())


def violations(sent: list[tuple[float, int]], limit: int) -> int:
    """Windows of a day, ending at each sending, that hold more than the limit."""
    times = np.array([at for at, _ in sent])
    sums = np.concatenate([[0], np.cumsum([size for _, size in sent])])
    first = np.searchsorted(times, times - DAY_S, side="right")
    return int((sums[1:] - sums[first] > limit).sum())


def make_world(scenario: str, count: int, little: Records, parts: dict[str, np.ndarray], seed: int) -> World:
    """Frames drawn from the records by a scenario."""
    rng = np.random.default_rng(seed)
    pool = np.flatnonzero(parts["replay"])
    chosen = rng.choice(pool, count)
    if scenario == "bursty":
        visits = rng.geometric(1 / 60, count)
        starts = np.cumsum(rng.exponential(1.0, count))
        at = np.concatenate([start + 1e-4 * np.arange(size) for start, size in zip(starts, visits, strict=True)])[
            :count
        ]
    elif scenario == "daily":
        even = np.linspace(0, 1, 100_001)
        density = 1 + 9 * (np.sin(2 * np.pi * DAYS * even) > 0)
        at = np.sort(np.interp(rng.random(count), np.cumsum(density) / density.sum(), even))
    else:
        at = np.cumsum(rng.exponential(1.0, count))
    if scenario == "drifting":
        by_confidence = pool[np.argsort(parts["confidence"][pool])]
        phase = 0.5 + 0.5 * np.sin(np.linspace(0, 3 * np.pi, count))
        place = rng.random(count) ** (0.4 + 2.2 * phase)
        chosen = by_confidence[np.minimum((place * len(pool)).astype(int), len(pool) - 1)]
    at = at / at[-1] * DAYS * DAY_S
    picked = {name: parts[name][chosen] for name in ("gain", "confidence", "n_bytes", "little", "big")}
    return World(at, **picked)


def records(folder: Path, console: Console) -> tuple[Records, Records]:
    """Records of the shipped pair, made once."""
    names = folder / "little.npz", folder / "big.npz"
    if not all(name.exists() for name in names):
        console.print(f"running the shipped pair on {DATA} ...")
        bundle = open_bundle("trailcam")
        little = open_subject(str(bundle.path), view=View.FRAME)
        subjects = [little, open_subject(str(BIG), upload=bundle.policy.upload)]
        found = run_subjects(subjects, read_all(open_source(DATA, Split.CALIBRATION)))
        folder.mkdir(parents=True, exist_ok=True)
        for name, one in zip(names, found, strict=True):
            save_records(name, one)
    return load_records(names[0]), load_records(names[1])


def main() -> None:
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, default=Path("runs/policies"), help="folder of the pair's records")
    parser.add_argument("--out", type=Path, default=Path("policies.png"), help="the picture")
    parser.add_argument("--frames", type=int, default=8000, help="frames in five days")
    parser.add_argument("--seeds", type=int, default=2, help="replays of each scenario, averaged")
    options = parser.parse_args()
    console = Console(width=150)
    little, big = records(options.records, console)
    if big.upload_bytes is None:
        parser.error("expected records with the size of each picture on the wire (edge-sdk records --upload)")
    learn = np.random.default_rng(0).random(len(little)) < 0.4
    temperature = fit_temperature(little.logits[learn], little.truths[learn])
    chances = little.calibrated(temperature)
    right = chances.argmax(axis=1) == little.truths
    table = fit_gate(chances[learn], right[learn], big.right[learn])
    parts = {
        "gain": gains(table, chances),
        "confidence": chances.max(axis=1).astype(np.float64),
        "n_bytes": big.upload_bytes.astype(np.int64),
        "little": right,
        "big": big.right,
        "replay": ~learn,
    }
    known = Calibration(*(parts[name][learn] for name in ("gain", "confidence", "little", "big")))
    console.print(f"{len(little)} records, little {right[~learn].mean():.1%}, big {big.right[~learn].mean():.1%}")
    results: dict[tuple[str, float, str], list[tuple[float, float, int]]] = {}
    cases = [(scenario, share, seed) for scenario in SCENARIOS for share in SHARES for seed in range(options.seeds)]
    for scenario, share, seed in track(cases, "replaying", console=console, transient=True):
        world = make_world(scenario, options.frames, little, parts, seed)
        limit = int(share * world.n_bytes.sum() / DAYS)

        def note(
            name: str, sent: np.ndarray, spent: float, broken: int, key: tuple[str, float] = (scenario, share)
        ) -> None:
            accuracy = float(np.where(sent, world.big, world.little).mean())  # noqa: B023 - used at once
            results.setdefault((*key, name), []).append((accuracy, spent / (limit * DAYS), broken))  # noqa: B023

        for name, policy in POLICIES.items():
            log = list(policy(world, known, limit, np.random.default_rng(seed)))
            sent = np.zeros(len(world.at_s), np.bool_)
            sent[[index for _, index in log]] = True
            sizes = [(at, int(world.n_bytes[index])) for at, index in log]
            row = (accuracy(world, sent), sum(size for _, size in sizes) / (limit * DAYS), violations(sizes, limit))
            results.setdefault((scenario, share, name), []).append(row)
        truth = world.big.astype(float) - world.little
        for name, worth, windows in zip(ORACLES, (world.gain, world.gain, truth), (False, True, True), strict=True):
            sent, spent = oracle(world, worth, limit, windows)
            results.setdefault((scenario, share, name), []).append((accuracy(world, sent), spent / (limit * DAYS), 0))
    means = {key: np.mean(np.array(values), axis=0) for key, values in results.items()}
    show(means, console)
    draw(means, options.out)
    console.print(f"wrote {options.out}")


def show(means: dict[tuple[str, float, str], np.ndarray], console: Console) -> None:
    """One table for each scenario."""
    names = [*POLICIES, *ORACLES]
    for scenario in SCENARIOS:
        table = Table(title=f"{scenario}: accuracy % (budget used %)", title_justify="left")
        table.add_column("policy")
        for share in SHARES:
            table.add_column(f"{share:.0%} of all bytes", justify="right")
        table.add_column("violations", justify="right")
        for name in names:
            cells = [means[scenario, share, name] for share in SHARES]
            broken = "" if name in ORACLES else f"{sum(cell[2] for cell in cells):g}"
            table.add_row(name, *(f"{100 * cell[0]:.2f} ({100 * cell[1]:.0f})" for cell in cells), broken)
        gaps = [means[scenario, share, ORACLES[1]][0] - means[scenario, share, "ours"][0] for share in SHARES]
        used = [means[scenario, s, "ours"][1] / max(1e-9, min(1, means[scenario, s, ORACLES[1]][1])) for s in SHARES]
        table.add_row("[bold]ours below the gain oracle, points", *(f"{100 * gap:+.2f}" for gap in gaps))
        table.add_row("[bold]bytes, of the gain oracle's", *(f"{share:.0%}" for share in used))
        console.print(table)


def draw(means: dict[tuple[str, float, str], np.ndarray], path: Path) -> None:
    """Accuracy against bytes, a panel for each scenario."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 8), sharex=True, layout="constrained")
    for axis, scenario in zip(axes.flat, SCENARIOS, strict=True):
        for name in [*POLICIES, ORACLES[1]]:
            points = [means[scenario, share, name] for share in SHARES]
            bytes_share = [100 * share * point[1] for share, point in zip(SHARES, points, strict=True)]
            style = STYLES.get(name, (None, "-", 1.0))
            axis.plot(
                bytes_share,
                [100 * point[0] for point in points],
                marker="o",
                markersize=3,
                label=name,
                color=style[0],
                linestyle=style[1],
                linewidth=style[2],
            )
        axis.set(title=scenario, xscale="log", xlabel="bytes sent, % of all")
        honest_percentages(axis)
        axis.set_xticks([100 * share for share in SHARES], [f"{share:.0%}" for share in SHARES])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
