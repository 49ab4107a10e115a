"""Drawing of a specialist."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.workbench.draw import CORAL, GREY, LETTERS, NAVY, TEAL, headed_figure, save_figure
from edge_sdk.workbench.specialize.report import Report


@LETTERS
def draw_report(path: Path, report: Report, title: str) -> None:
    """Draw a specialist's accuracy stage by stage, and how many times smaller and faster it became.

    Args:
        path: the PNG to write.
        report: of the specialist.
        title: heading of the drawing.

    Raises:
        WorkbenchError: the file cannot be written.
    """
    figure = headed_figure(title, 12, 4.6)
    along, shrunk = figure.subplots(1, 2, width_ratios=[3, 2])
    for axis in (along, shrunk):
        axis.spines[["top", "right"]].set_visible(False)
    evaluated = [(stage.name, 100 * stage.accuracy) for stage in report.stages if stage.accuracy is not None]
    if report.bundle_accuracy is not None:
        evaluated.append(("int8 bundle", 100 * report.bundle_accuracy))
    if evaluated:
        along.axhline(evaluated[0][1], color=NAVY, linestyle=":", label="big model, restricted to the task")
        if report.control is not None and report.control.accuracy is not None:
            along.axhline(
                100 * report.control.accuracy, color=CORAL, linestyle="--", label="the same on generic pictures"
            )
        along.plot([value for _, value in evaluated], marker="o", color=TEAL, label="specialised")
        gap = report.against_big
        if gap is not None:
            reach = [[100 * (gap.value - gap.low)], [100 * (gap.high - gap.value)]]
            label = "95% interval of the difference to the big model"
            along.errorbar(len(evaluated) - 1, evaluated[-1][1], yerr=reach, color=GREY, capsize=4, label=label)
        along.set_ylim(0, 103)
        along.set_xticks(range(len(evaluated)), [name.replace(", ", "\n") for name, _ in evaluated], fontsize=8)
        along.set_ylabel(f"right on {report.test_pictures} test pictures, %")
        along.legend(fontsize=8, frameon=False)
    else:
        along.text(0.5, 0.5, "no test pictures", ha="center", transform=along.transAxes, color="grey")
        along.set_axis_off()
    big, small = report.stages[0], report.stages[-1]
    ratios = {
        "parameters": big.parameters / small.parameters,
        "MACs": big.macs / small.macs,
        "model.pte": report.smaller,
        "latency": report.faster,
    }
    bars = shrunk.barh(list(ratios), list(ratios.values()), color=TEAL)
    shrunk.bar_label(bars, labels=[f"{value:.1f}x" for value in ratios.values()], padding=3, fontsize=9)
    shrunk.invert_yaxis()
    shrunk.set_xlim(0, 1.2 * max(ratios.values()))
    shrunk.set_xlabel("times less than the big model (int8 both)")
    save_figure(figure, path)
