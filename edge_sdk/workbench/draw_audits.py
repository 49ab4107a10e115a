"""Drawing of what audits say, over time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from edge_sdk.model.betting import bounds
from edge_sdk.model.evidence import DELTA, evidence_path, weigh
from edge_sdk.model.policy import Policy
from edge_sdk.store.audits import Audits
from edge_sdk.workbench.draw import CORAL, GREY, LETTERS, NAVY, TEAL, headed_figure, save_figure

_PLACES = 60


@LETTERS
def draw_audits(path: Path, audits: Audits, policy: Policy, title: str) -> None:
    """Draw the share of exits that the big model answers otherwise, and the evidence against the promise.

    The share is the weighted sum over the audits that differ by the number of exits so far; audits without an answer
    count as agreeing here.

    Args:
        path: the PNG to write.
        audits: of the device.
        policy: of its bundle.
        title: heading of the drawing.

    Raises:
        WorkbenchError: the file cannot be written.
    """
    figure = headed_figure(title, 10, 6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    for axis in (above, below):
        axis.spines[["top", "right"]].set_visible(False)
    evidence = weigh(audits, policy)
    chances = np.array(sorted({one.chance for one in audits.covered}) or [1.0])
    exits = evidence.exits
    before = np.array([sum(one.differ for one in audits.gone if one.chance == chance) for chance in chances], np.int64)
    bands = np.searchsorted(chances, [one.chance for one in audits.differences])
    units = np.array([one.exits for one in audits.differences], np.int64)
    first = max(1, sum(one.frames for one in audits.gone if one.chance > 0))
    places = np.unique(np.geomspace(first, max(first, exits), _PLACES).astype(np.int64))
    shares, lows, highs = [], [], []
    for place in places:
        ones = before + np.bincount(bands[units <= place], minlength=len(chances))
        low, high = bounds(int(place), ones, 0 * ones, chances, float(chances[0]), DELTA)
        shares.append(100 * float(ones @ (1 / chances)) / place)
        lows.append(100 * low)
        highs.append(100 * high)
    above.fill_between(places, lows, highs, color=TEAL, alpha=0.2, label="interval, holds at all times")
    above.plot(places, shares, color=TEAL, label="estimate")
    above.set_ylabel("exits that the big model\nanswers otherwise, %")
    top = max(4 * shares[-1], 2.0)
    below.set_ylabel("evidence against\nthe promise")
    below.set_xlabel("exits that could be audited")
    if (promised := evidence.promised) is not None:
        top = max(top, 300 * promised)
        above.axhline(100 * promised, color=NAVY, linestyle=":", label="promised at most")
        path_of = evidence_path(audits, policy)
        at = [*(one.exits for one in path_of.differences), exits]
        below.plot(at, np.exp(np.clip(path_of.log_e, math.log(1e-3), 700)), color=CORAL, drawstyle="steps-post")
        below.axhline(1 / DELTA, color=GREY, linestyle="--", label="alarm")
        below.set_yscale("log")
        below.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # the usual one needs dollar signs that are none
        below.yaxis.set_minor_formatter(lambda *_: "")
        below.legend(fontsize=8, frameon=False)
    else:
        below.text(0.5, 0.5, "the policy promises nothing", ha="center", transform=below.transAxes, color="grey")
    above.set_ylim(0, top)
    above.legend(fontsize=8, frameon=False)
    save_figure(figure, path)
