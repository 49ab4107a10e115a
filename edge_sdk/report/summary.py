"""The end of a run: a table and a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_sdk.budget.amounts import macs_text
from edge_sdk.budget.limits import Resource
from edge_sdk.budget.usage import Usage
from edge_sdk.errors import EdgeError
from edge_sdk.report.contact_sheet import Tile
from edge_sdk.report.display import compute_text, frames_text, upload_text
from edge_sdk.report.scorecard import Score
from edge_sdk.terminal.tables import Facts
from edge_sdk.terminal.text import literal
from edge_sdk.types import Answer, Event, Frame, Origin

_POINTS = 2_000
_ACROSS = 8
TILES = 2 * _ACROSS
"""Events in the picture at most."""
_GROUPS = {"device": "answered by the device", "cloud": "answered by the cloud", "waits": "waits for the cloud"}
_GROUPS_OF_VISITS = {
    "device": "visits that the device answered",
    "cloud": "visits that the cloud answered",
    "waits": "visits that wait for the cloud",
}
_COLOURS = {"device": "#2a9d8f", "cloud": "#e76f51", "waits": "#b8b8b8", "all": "#264653"}


@dataclass(slots=True)
class RunHistory:
    """What a run looked like, frame by frame; thinned to at most 2,000 points.

    Attributes:
        accounts: the ledger after each kept frame.
        answers: the newest answer on each kept frame, by frame id.
        stride: of so many frames one is kept.
    """

    accounts: list[Usage] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    stride: int = 1
    _seen: int = 0
    _events: dict[str, Event] = field(default_factory=dict)

    def add(self, frame: Frame, answer: Answer, account: Usage) -> None:
        """Record the device's answer on a frame."""
        if self._seen % self.stride == 0:
            self.accounts.append(account)
            self.answers[frame.frame_id] = answer
        self._seen += 1
        if len(self.accounts) > _POINTS:
            self.stride *= 2
            self.accounts = self.accounts[::2]
            self.answers = dict(list(self.answers.items())[::2])

    def revise(self, answer: Answer) -> None:
        """Replace the answer on a frame by a later one."""
        if answer.frame_id in self.answers:
            self.answers[answer.frame_id] = answer

    def hear(self, event: Event) -> None:
        """A word on an event, the first or a later one."""
        self._events[event.event_id] = event

    @property
    def settled(self) -> list[Answer]:
        """The answers; of a frame whose event is answered as a whole, with who answered that."""
        return [self._settled(answer) for answer in self.answers.values()]

    @property
    def per_event(self) -> bool:
        """Whether visits are answered as a whole."""
        return any(answer.event is not None for answer in self.answers.values())

    def count(self, group: str) -> int | None:
        """Frames of the visits that the cloud answered, say; None: not all frames of the run are known any more.

        Args:
            group: "device", "cloud" or "waits".
        """
        return sum(_group(answer) == group for answer in self.settled) if self.stride == 1 else None

    def _settled(self, answer: Answer) -> Answer:
        event = self._events.get(answer.event.event_id) if answer.event else None
        return answer if event is None else replace(answer, final=event.final, origin=event.origin)

    def finish(self, account: Usage) -> None:
        """Record the ledger at the end, late answers included."""
        if self.accounts:
            self.accounts[-1] = account


def summary_table(
    account: Usage, score: Score | None, waiting: int, link: str, history: RunHistory | None = None
) -> Facts:
    """The run in one table.

    Args:
        account: the ledger at the end.
        score: accuracies, where the truth was known.
        waiting: frames that wait for the cloud.
        link: how it is.
        history: what was collected during the run; None: nothing.
    """
    table = Facts("Summary")
    table.add("frames answered", account.frames)
    table.add("exit ratio", f"{account.exit_ratio:.1%} ({account.exits} exits, {account.offloads} offloads)")
    if account.events:
        sent = f", of which {account.events_offloaded} sent one frame each" if account.events_offloaded else ""
        table.add("events", f"{account.events}{sent}")
    answered = history.count("cloud") if history is not None and history.per_event else None
    visits = "" if not answered else f" to frames that stand for visits of {frames_text(answered)}"
    table.add("answers from the cloud", f"{account.answers_cloud}{visits}; {waiting} frames wait")
    table.add("upload", upload_text(account))
    table.add("compute", compute_text(account))
    if account.skipped_compute:
        table.add("skipped", f"{account.skipped_compute} frames: the compute budget was spent")
    table.add("link", link)
    if score:
        cloud = "not asked" if score.cloud is None else f"{score.cloud:.1%}"
        table.add("accuracy, device alone", f"{score.device:.1%} of {score.count} {score.unit} with known truth")
        table.add("accuracy, cascade", f"{score.cascade:.1%}")
        table.add("accuracy, cloud alone", cloud)
    return table


def draw_summary(
    path: Path,
    history: RunHistory,
    account: Usage,
    score: Score | None,
    threshold: float | None,
    title: str,
    events: Sequence[Tile] = (),
) -> None:
    """Draw the run into a PNG.

    Args:
        path: the file to write.
        history: what was collected during the run.
        account: the ledger at the end.
        score: accuracies, where the truth was known.
        threshold: the confidence at which frames exit; None where a learned gate decides.
        title: the picture's head.
        events: to be shown below the plots, at most `TILES`.

    Raises:
        EdgeError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise EdgeError("drawing needs matplotlib, which this Python lacks: pip install '.[plots]'") from None
    with rc_context({"text.parse_math": False}):  # a dollar sign in a path is a letter
        figure = _draw(Figure, history, account, score, threshold, literal(title), events)
        try:
            figure.savefig(path, dpi=110)
        except OSError as error:
            raise EdgeError(f"cannot write {path}: {error}") from error


def _draw(
    new_figure: Callable[..., Any],
    history: RunHistory,
    account: Usage,
    score: Score | None,
    threshold: float | None,
    title: str,
    events: Sequence[Tile],
) -> Any:
    rows = -(-len(events) // _ACROSS)
    figure = new_figure(figsize=(12, 7.5 + 1.75 * rows), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    plots = figure
    if rows:
        plots, sheet = figure.subfigures(2, 1, height_ratios=[7.5, 1.75 * rows])
        _draw_sheet(sheet, events[: rows * _ACROSS], rows)
    axes = plots.subplot_mosaic(
        [["answers", "answers", "labels"], ["upload", "compute", "accuracy"]], height_ratios=[1.15, 1]
    )
    for axis in axes.values():
        axis.spines[["top", "right"]].set_visible(False)
    _draw_answers(axes["answers"], history, threshold)
    _draw_labels(axes["labels"], history)
    _draw_upload(axes["upload"], history)
    _draw_compute(axes["compute"], history)
    _draw_accuracy(axes["accuracy"], score, account)
    return figure


def _draw_sheet(sheet: Any, events: Sequence[Tile], rows: int) -> None:
    """The best frame of each event, with what was said of the event."""
    for axis in sheet.subplots(rows, _ACROSS, squeeze=False).flat:
        axis.axis("off")
    for axis, tile in zip(sheet.axes, events, strict=False):
        event = tile.event
        axis.imshow(tile.image)
        said = _COLOURS["waits" if not event.final else str(event.origin)]
        axis.set_title(f"{event.label} {event.confidence:.0%}", fontsize=8.5, color=said, fontweight="bold", pad=2)
        text = f"{event.began_at:%H:%M:%S}, {frames_text(event.frames)}"
        if tile.truth is not None and tile.truth != event.label:
            text += f"\nshows {tile.truth}"
        axis.text(0.5, -0.04, text, fontsize=7, ha="center", va="top", transform=axis.transAxes)


def _group(answer: Answer) -> str:
    if answer.origin is Origin.CLOUD:
        return "cloud"
    return "device" if answer.final else "waits"


def _draw_answers(axis: Any, history: RunHistory, threshold: float | None) -> None:
    numbers = [account.frames for account in history.accounts]
    groups: dict[str, tuple[list[int], list[float]]] = {group: ([], []) for group in _GROUPS}
    for number, answer in zip(numbers, history.settled, strict=True):
        groups[_group(answer)][0].append(number)
        groups[_group(answer)][1].append(answer.confidence)
    per_event = history.per_event
    drawn = f"; 1 of {history.stride} is drawn" if history.stride > 1 else ""
    for group, (x, y) in groups.items():
        if x:
            label = f"{_GROUPS[group]} ({len(x)}{drawn})"
            if per_event:
                label = f"{_GROUPS_OF_VISITS[group]} ({frames_text(len(x))}{drawn})"
            axis.scatter(x, y, s=14, color=_COLOURS[group], label=label, alpha=0.8, linewidths=0)
    if threshold is not None:
        axis.axhline(threshold, color="black", linewidth=0.8, linestyle=":", label=f"threshold {threshold:.2f}")
    ratios = [account.exit_ratio for account in history.accounts]
    if per_event:  # of no event nothing is known
        ratios = [one.event_exit_ratio if one.events else float("nan") for one in history.accounts]
    name = "events that exit so far" if per_event else "exit ratio so far"
    axis.plot(numbers, ratios, color=_COLOURS["all"], linewidth=1.6, label=name)
    axis.set(title="Answers and exit ratio", xlabel="frame", ylabel="confidence, exit ratio", ylim=(0, 1.03))
    axis.legend(loc="best", fontsize=8, framealpha=0.9)


def _draw_labels(axis: Any, history: RunHistory) -> None:
    final: Counter[tuple[str, str]] = Counter(
        (answer.label or "no answer", _group(answer)) for answer in history.settled
    )
    totals: Counter[str] = Counter()
    for (label, _), count in final.items():
        totals[label] += count
    names = sorted(totals, key=lambda name: totals[name])
    start = [0] * len(names)
    for group in _GROUPS:
        counts = [final[name, group] for name in names]
        axis.barh(names, counts, left=start, color=_COLOURS[group])
        start = [before + count for before, count in zip(start, counts, strict=True)]
    axis.set(title="Answers by label", xlabel="frames")


def _draw_upload(axis: Any, history: RunHistory) -> None:
    numbers = [account.frames for account in history.accounts]
    axis.plot(
        numbers,
        [(account.spent(Resource.UPLOAD) or account.bytes_sent) / 1e6 for account in history.accounts],
        color=_COLOURS["cloud"],
        label="sent in this period",
    )
    state = history.accounts[-1].budget(Resource.UPLOAD) if history.accounts else None
    if state is not None:
        axis.axhline(state.budget.limit / 1e6, color="black", linewidth=0.8, linestyle="--", label="budget")
        axis.legend(fontsize=8)
    axis.set(title="Upload against the budget", xlabel="frame", ylabel="MB")
    axis.set_ylim(bottom=0)


def _draw_compute(axis: Any, history: RunHistory) -> None:
    numbers = [account.frames for account in history.accounts]
    big_macs = history.accounts[-1].big_macs if history.accounts else 0  # known once the server has told it
    axis.plot(
        numbers,
        [number * big_macs / 1e9 for number in numbers],
        color=_COLOURS["waits"],
        label="every frame to the big model",
    )
    axis.plot(
        numbers, [account.macs_total / 1e9 for account in history.accounts], color=_COLOURS["all"], label="cascade"
    )
    axis.set(title="Compute", xlabel="frame", ylabel="GMAC")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=8)


def _draw_accuracy(axis: Any, score: Score | None, account: Usage) -> None:
    if score is None:
        axis.axis("off")
        text = f"{account.frames} frames\n{account.exit_ratio:.0%} exits\n{macs_text(account.macs_total)}"
        text += "\n\ntruth not known:\nno accuracy"
        axis.text(0.5, 0.5, text, ha="center", va="center", fontsize=12)
        return
    bars = [("device\nalone", score.device, _COLOURS["device"]), ("cascade", score.cascade, _COLOURS["all"])]
    if score.cloud is not None:
        bars.append(("cloud\nalone", score.cloud, _COLOURS["cloud"]))
    drawn = axis.bar(
        [bar[0] for bar in bars], [bar[1] * 100 for bar in bars], color=[bar[2] for bar in bars], width=0.6
    )
    axis.bar_label(drawn, fmt="%.1f %%", padding=2)
    axis.set(title=f"Accuracy on {score.count} {score.unit}", ylabel="%", ylim=(0, 112))
    axis.set_yticks(range(0, 101, 20))
