"""Drawings of a cascade: curves, hard frames, scores, companions, encodings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.calibrate_events import EventCalibration
from edge_sdk.workbench.calibration import Calibration
from edge_sdk.workbench.cascade.companion import Ranked
from edge_sdk.workbench.cascade.curve import Curve
from edge_sdk.workbench.cascade.hardness import HardnessBin
from edge_sdk.workbench.cascade.score_comparison import MAX_SOFTMAX, Comparison
from edge_sdk.workbench.encoding_ladder import Ladder

TEAL, CORAL, NAVY, GREY, GOLD = "#2a9d8f", "#e76f51", "#264653", "#b8b8b8", "#e9c46a"
_MOST_POINTS = 4000
_LEAST_POINTS = 20.0
LETTERS = rc_context({"text.parse_math": False})  # a dollar sign in a name is a letter


@LETTERS
def draw_calibration(
    path: Path, parts: Sequence[tuple[str, Calibration]], title: str, events: EventCalibration | None = None
) -> None:
    """Draw a calibration: curve, exit ratio, hardness and scores of each rule.

    Args:
        path: the PNG to write.
        parts: the calibrations, each with the name of its frames; "" where there is one.
        title: heading of the drawing.
        events: the calibration of visits, which gets a panel of its own.

    Raises:
        WorkbenchError: the file cannot be written.
    """
    panels: list[Any] = []
    for name, _ in parts:
        panels += [[f"curve {name}", f"ratio {name}"], [f"hard {name}", f"scores {name}"]]
    panels += [] if events is None else [["events", "events"]]
    figure = headed_figure(title, 13, 4 * len(panels))
    axes = figure.subplot_mosaic(panels)
    for axis in axes.values():
        axis.spines[["top", "right"]].set_visible(False)
    for name, found in parts:
        _draw_curve(axes[f"curve {name}"], found)
        _draw_ratio(axes[f"ratio {name}"], found)
        _draw_hardness(axes[f"hard {name}"], found.bins)
        _draw_scores(axes[f"scores {name}"], found.comparisons)
        if name:
            axes[f"curve {name}"].set_title(name.capitalize(), loc="left", color=NAVY, fontweight="bold")
            axes[f"curve {name}"].set_title("Accuracy against compute", loc="right")
            axes[f"curve {name}"].set_title("")
    if events is not None:
        _draw_events(axes["events"], events)
    save_figure(figure, path)


def honest_percentages(axis: Any, what: str = "accuracy") -> None:
    """An axis of percentages that makes little of small differences: at least 20 points high, its start in its name."""
    low, high = axis.get_ylim()
    high = min(100.5, high)
    low = max(0.0, min(low, high - _LEAST_POINTS))
    axis.set_ylim(low, high)
    axis.set_ylabel(f"{what}, %" if low == 0 else f"{what}, % (the axis starts at {low:.0f})")


def _thin(curve: Curve) -> Any:
    count = len(curve.thresholds)
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(int))


def _draw_curve(axis: Any, found: Calibration) -> None:
    curve, plain = found.curve, found.plain
    known = not np.isnan(curve.macs[0])  # else the share of frames sent stands for the compute

    def cost(of: Curve) -> Any:
        return of.macs / 1e6 if known else 100 * (1 - of.exit_ratio)

    some = _thin(plain)
    if found.policy.gate is not None:
        axis.plot(cost(plain)[some], 100 * plain.accuracy[some], color=GREY, label="maximum softmax")
    some = _thin(curve)
    name = "learned gate" if found.policy.gate is not None else "cascade, every threshold"
    axis.plot(cost(curve)[some], 100 * curve.accuracy[some], color=NAVY, label=name)
    axis.axhline(100 * found.big_accuracy, color=CORAL, linewidth=1, linestyle="--", label="big model alone")
    axis.axhline(100 * found.little_accuracy, color=TEAL, linewidth=1, linestyle=":", label="little model alone")
    spent = found.point.macs / 1e6 if known else 100 * (1 - found.point.exit_ratio)
    axis.scatter(spent, 100 * found.point.accuracy, s=60, color=GOLD, edgecolor="black", zorder=5, label="chosen")
    axis.axvline(curve.big_macs / 1e6 if known else 100, color=CORAL, linewidth=0.8, alpha=0.4)
    unit = "MMAC per frame, both models" if known else "frames sent, % (the models' MACs are unknown)"
    axis.set(title="Accuracy against compute", xlabel=unit, ylabel="accuracy, %")
    axis.legend(fontsize=8, loc="lower right")


def _draw_ratio(axis: Any, found: Calibration) -> None:
    curve = found.curve
    some = _thin(curve)[1:]
    axis.plot(curve.thresholds[some], 100 * curve.exit_ratio[some], color=TEAL, label="exit ratio")
    axis.plot(curve.thresholds[some], 100 * curve.accuracy[some], color=NAVY, label="accuracy")
    axis.axvline(found.point.threshold, color="black", linewidth=0.9, linestyle=":", label="chosen")
    score = "minus the expected gain" if found.policy.gate is not None else "confidence"
    axis.set(title="Exit ratio and accuracy by threshold", xlabel=f"threshold on {score}", ylabel="%", ylim=(0, 103))
    axis.legend(fontsize=8)


def _draw_events(axis: Any, found: EventCalibration) -> None:
    axis.plot(100 * (1 - found.curve_exits), 100 * found.curve_accuracy, color=NAVY, label="cascade, every threshold")
    axis.axhline(100 * found.big_accuracy, color=CORAL, linewidth=1, linestyle="--", label="big model on every frame")
    axis.axhline(100 * found.little_accuracy, color=TEAL, linewidth=1, linestyle=":", label="little model alone")
    chosen = 100 * (1 - found.exit_ratio), 100 * found.accuracy
    axis.scatter(*chosen, s=60, color=GOLD, edgecolor="black", zorder=5, label="chosen")
    axis.set(title="Visits, answered once", xlabel="visits that send a frame, %")
    honest_percentages(axis, "visits answered rightly")
    axis.legend(fontsize=8, loc="lower right")


def _draw_hardness(axis: Any, bins: Sequence[HardnessBin]) -> None:
    used = [one for one in bins if one.records]
    names = [f"{one.low:.1f}-{one.high:.1f}" for one in used]
    start = np.zeros(len(used))
    for name, colour in (
        ("both_right", TEAL),
        ("correctable", GOLD),
        ("broken", CORAL),
        ("both_wrong", GREY),
    ):
        share = np.array([100 * getattr(one, name) / one.records for one in used])
        label = {
            "both_right": "both right",
            "correctable": "an offload corrects it",
            "broken": "an offload breaks it",
            "both_wrong": "both wrong",
        }[name]
        axis.bar(names, share, bottom=start, color=colour, label=label, width=0.85)
        start += share
    for index, one in enumerate(used):
        axis.text(index, 101, str(one.records), ha="center", va="bottom", fontsize=7)
    axis.set(
        title="What a second opinion does (frames above the bars)",
        ylabel="% of the frames of each confidence",
        ylim=(0, 108),
    )
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4, frameon=False)


def _draw_scores(axis: Any, comparisons: Sequence[Comparison]) -> None:
    shown = [one for one in comparisons if one.name != MAX_SOFTMAX]
    if not shown:
        axis.axis("off")
        axis.text(0.5, 0.5, "too few records\nto compare scores", ha="center", va="center", fontsize=12)
        return
    names = [one.name for one in shown]
    middle = np.array([100 * one.difference for one in shown])
    low = middle - np.array([100 * one.low for one in shown])
    high = np.array([100 * one.high for one in shown]) - middle
    axis.errorbar(middle, names, xerr=np.maximum(0, np.stack([low, high])), fmt="o", color=NAVY, ecolor=GREY, capsize=4)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.invert_yaxis()
    axis.set(
        title="Scores against the maximum softmax",
        xlabel="points of mean accuracy over all exit ratios (95% interval)",
    )


@LETTERS
def draw_companions(path: Path, ranked: Sequence[Ranked], title: str) -> None:
    """Draw ranked companions: what each saves and what it costs in accuracy.

    Args:
        path: the PNG to write.
        ranked: from `rank_companions`, not empty.
        title: heading of the drawing.

    Raises:
        WorkbenchError: nothing to draw, or the file cannot be written.
    """
    if not ranked:
        raise WorkbenchError("expected at least one companion to draw; got none")
    figure = headed_figure(title, 11, 4.6)
    left, right = figure.subplots(1, 2)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    names = [one.name for one in ranked]
    bars = left.barh(names, [100 * one.relative_macs for one in ranked], color=TEAL)
    left.bar_label(bars, fmt="%.1f%%", padding=2, fontsize=8)
    left.axvline(100, color=CORAL, linewidth=1, linestyle="--", label="big model alone")
    left.invert_yaxis()
    left.set(title="Compute per frame, test records", xlabel="% of the big model's MACs", xlim=(0, 118))
    left.legend(fontsize=8, loc="upper right")
    for index, one in enumerate(ranked):
        right.scatter(100 * one.exit_ratio, 100 * one.cascade_accuracy, s=55, label=one.name, color=f"C{index}")
    right.axhline(100 * ranked[0].big_accuracy, color=CORAL, linewidth=1, linestyle="--", label="big model alone")
    for index, one in enumerate(ranked):
        gap = one.against_big
        reach = [[100 * (gap.value - gap.low)], [100 * (gap.high - gap.value)]]
        place = 100 * one.exit_ratio, 100 * one.cascade_accuracy
        right.errorbar(*place, yerr=reach, color=f"C{index}", capsize=3, zorder=0)
    right.set(title="Cascade, test records", xlabel="exit ratio, %", xlim=(0, 103))
    honest_percentages(right)
    right.set_title(
        "bars: 95% interval of the difference to the big model", loc="left", fontsize=8, color="grey", y=-0.22
    )
    right.legend(fontsize=8)
    save_figure(figure, path)


@LETTERS
def draw_ladder(path: Path, found: Ladder, title: str) -> None:
    """Draw accuracy against bytes for every encoding that was tried.

    Args:
        path: the PNG to write.
        found: from `measure_ladder`.
        title: heading of the drawing.

    Raises:
        WorkbenchError: the file cannot be written.
    """
    figure = headed_figure(title, 11, 6)
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    choice = found.choice
    kilobytes = np.array([one.mean_bytes / 1e3 for one in choice.evaluated])
    accuracy = np.array([100 * one.accuracy for one in choice.evaluated])
    for name, kind, cut, mark, colour in (
        ("JPEG", "jpeg", False, "o", TEAL),
        ("WebP", "webp", False, "s", CORAL),
        ("JPEG, cut to the model's view", "jpeg", True, "^", TEAL),
        ("WebP, cut to the model's view", "webp", True, "D", CORAL),
    ):
        mine = np.array([one.format == kind and (one.crop is not None) is cut for one in found.uploads])
        if mine.any():
            axis.scatter(kilobytes[mine], accuracy[mine], s=28, marker=mark, color=colour, alpha=0.75, label=name)
    axis.plot(kilobytes[choice.ladder], accuracy[choice.ladder], color=NAVY, linewidth=1.2, label="ladder")
    for index in dict.fromkeys([*choice.ladder, found.usual, *([] if choice.safe is None else [choice.safe])]):
        one = choice.evaluated[index].difference
        reach = 100 * np.array([[one.value - one.low], [one.high - one.value]])
        axis.errorbar(kilobytes[index], accuracy[index], yerr=reach, color=GREY, capsize=3, zorder=0)
        above = index in choice.ladder or index == choice.safe
        axis.annotate(
            found.uploads[index].name,
            (kilobytes[index], accuracy[index]),
            xytext=(-7, 5) if above else (9, -11),
            textcoords="offset points",
            ha="right" if above else "left",
            fontsize=8,
        )
    place = kilobytes[found.usual], accuracy[found.usual]
    axis.scatter(*place, s=110, facecolor="none", edgecolor="black", linewidth=1.2, label="the bundle's own")
    if choice.safe is not None:
        place = kilobytes[choice.safe], accuracy[choice.safe]
        axis.scatter(*place, s=75, color=GOLD, edgecolor="black", zorder=5, label="cheapest that is safe")
    axis.axhline(
        100 * choice.original_accuracy, color=NAVY, linewidth=1, linestyle="--", label="big model, pictures as they are"
    )
    axis.axhline(100 * choice.little_accuracy, color=GREY, linewidth=1, linestyle=":", label="little model")
    axis.set(xscale="log", xlabel="kB a frame (log scale)")
    honest_percentages(axis, "accuracy on offloaded frames")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("{x:g}")
    axis.tick_params(axis="x", which="minor", labelsize=7)
    axis.set_title(
        "evaluation part; bars: 95% interval of the difference to pictures as they are",
        loc="left",
        fontsize=9,
        color="grey",
    )
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    save_figure(figure, path)


def headed_figure(title: str, width: float, height: float) -> Figure:
    """An empty figure with a heading at its top left; inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a drawing as PNG, atomically.

    Raises:
        WorkbenchError: it cannot be written.
    """
    try:
        write_whole(path, lambda fresh: figure.savefig(fresh, dpi=110))
    except OSError as error:
        raise WorkbenchError(f"cannot write {path}: {error}") from error
