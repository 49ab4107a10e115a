"""`edge-sdk calibrate`: choose a bundle's threshold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.cli.given import refuse_together
from edge_sdk.cli.options import (
    FILE,
    OLD_FILE,
    big_option,
    bundle_option,
    data_option,
    label_map_option,
    parse_bytes,
    picture_option,
    region_upload_option,
    regions_options,
    served_big,
    upload_option,
    view_option,
    writable,
)
from edge_sdk.cli.regions import TWO_FINDERS, check_finding, regions_line
from edge_sdk.cli.tables import TABLES, read_tables, tables_options
from edge_sdk.terminal.command import need, when_stopped

if TYPE_CHECKING:
    from rich.console import Console

    from edge_sdk.images.rendition import Upload
    from edge_sdk.model.policy import Policy
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.workbench.calibrate_events import EventCalibration
    from edge_sdk.workbench.calibration import Calibration, Rule
    from edge_sdk.workbench.cascade.hardness import HardnessBin
    from edge_sdk.workbench.cascade.score_comparison import Comparison
    from edge_sdk.workbench.records import Records

_OPEN = click.FloatRange(0, 1, min_open=True, max_open=True)
_EPS = "Rule: guarantee a loss of accuracy of at most this; 0: none; below 0: a gain of as much."
_AS_RIGHT = (
    "Rule: guarantee that of the frames that exit at least this share is answered as rightly as by the big model."
)
_OUTSIDE = "Send this share of the exits in addition, those least like calibration by their energy, such as 0.01."
_ASK = "Write the frames that need a person's label to this CSV, and calibrate later with --answers."
_ANSWERS = "Calibrate with these labels of the frames that --ask wrote (--eps and --as-right)."
_PER = (
    "Calibrate frames alone, or also visits, which are answered once.  [default: visits where the pictures have places "
    "and capture times]"
)
_EVENT_EPS = "Rule of visits: guarantee a loss on those of new places of at most this.  [default: the frames' rule]"
_STILL_EPS = "With --regions-only: guarantee this of frames without movement.  [default: as the others]"
_SEND = "What of an unsure frame travels where something moved.  [default: as the bundle's policy says]"
_REGIONS_ONLY = (
    "Find the rule for frames with a region alone (and that of visits); the bundle's rule for whole frames stays."
)
_RECORDS = "Use these files of `edge-sdk records` instead of --data and --big."


@click.command()
@bundle_option()
@big_option(required=False)
@label_map_option()
@data_option(required=False, note="To calibrate on.")
@click.option("--records", "files", nargs=2, type=OLD_FILE, metavar="LITTLE BIG", help=_RECORDS)
@click.option("--eps", type=click.FloatRange(-1, 1, min_open=True, max_open=True), help=_EPS)
@click.option("--as-right", type=_OPEN, help=_AS_RIGHT)
@click.option("--delta", default=0.05, show_default=True, type=_OPEN, help="Chance that the guarantee fails.")
@click.option("--drop", type=click.FloatRange(-1, 1), help="Rule: lose at most this on these pictures; 0: lossless.")
@click.option("--offload-ratio", type=click.FloatRange(0, 1), help="Rule: send at most this share of the frames.")
@click.option("--bytes-per-day", callback=parse_bytes, metavar="SIZE", help="Rule: send at most this, such as 38MB.")
@click.option(
    "--macs", type=click.FloatRange(0, min_open=True), help="Rule: spend at most this per frame, both models."
)
@click.option("--per", type=click.Choice(("frame", "event")), help=_PER)
@click.option("--event-eps", type=click.FloatRange(-1, 1, min_open=True, max_open=True), help=_EVENT_EPS)
@click.option("--still-eps", type=click.FloatRange(-1, 1, min_open=True, max_open=True), help=_STILL_EPS)
@view_option("What of a frame the bundle looks at; written into its manifest.  [default: as it says]")
@regions_options()
@click.option("--regions-only", is_flag=True, help=_REGIONS_ONLY)
@click.option("--send", type=click.Choice(("frame", "region")), help=_SEND)
@region_upload_option("How a region's surroundings are sent.  [default: the bundle's region_upload, else as --upload]")
@click.option("--frames-per-day", default=2000.0, show_default=True, help="Frames that the little model sees in a day.")
@click.option("--outside", type=_OPEN, metavar="SHARE", help=_OUTSIDE)
@click.option("--no-gate", is_flag=True, help="Decide by the confidence; learn no gate.")
@click.option("--ask", type=FILE, callback=writable, help=_ASK)
@click.option("--answers", type=OLD_FILE, help=_ANSWERS)
@upload_option("How frames are sent.  [default: the bundle's upload]")
@click.option("--max-side", type=click.IntRange(16), hidden=True, help="As in --upload.")
@click.option("--quality", type=click.IntRange(1, 100), hidden=True, help="As in --upload.")
@tables_options()
@picture_option("Draw the curve here.")
def calibrate(
    bundle: Path,
    big: str | None,
    label_map: dict[str, str],
    data: str | None,
    files: tuple[Path, Path] | None,
    delta: float,
    per: str | None,
    event_eps: float | None,
    still_eps: float | None,
    view: str | None,
    detector: Path | None,
    boxes: Path | None,
    regions_only: bool,
    send: str | None,
    region_upload: Any,
    frames_per_day: float,
    outside: float | None,
    no_gate: bool,
    ask: Path | None,
    answers: Path | None,
    upload: Any,
    max_side: int | None,
    quality: int | None,
    picture: Path | None,
    **limits: Any,
) -> None:
    """Choose a bundle's threshold against a big model; writes policy.json.

    The threshold follows one rule: --eps, --as-right, --drop, --offload-ratio, --bytes-per-day or --macs. The default
    is --eps 0.01: with confidence 1 - delta the cascade is at most one point below the big model. Where the little
    model looks at the region of some frames and sees others whole, each kind gets its own threshold. Where the pictures
    are of visits, these get a rule of their own, which promises the same of new places.
    """
    if (data is None) == (files is None):
        raise click.UsageError("expected either --data or --records")
    if data is not None and big is None:
        raise click.UsageError("expected --big, the model to run on --data")
    if files is not None and label_map:
        raise click.UsageError("--label-map is for --data; with --records, give it to `edge-sdk records`")
    tables = {name: limits.pop(name) for name in TABLES}
    if (ask and answers) or ((ask or answers) and picture):
        raise click.UsageError(
            "expected one of --ask, --answers and --picture: the curve needs the label of each frame"
        )
    if files is not None and (view or send or detector or boxes):
        raise click.UsageError(
            "--view, --send, --detector and --boxes are for --data; with --records, give them to `edge-sdk records`"
        )
    refuse_together(TWO_FINDERS)
    if per == "frame" and event_eps is not None:
        raise click.UsageError("--event-eps is for --per event")
    if still_eps is not None and not regions_only:
        raise click.UsageError("--still-eps is for --regions-only: without it these frames have the rule of whole ones")
    if regions_only and (ask or answers):
        raise click.UsageError("--regions-only needs the label of each frame: expected it without --ask and --answers")
    need("scipy", *(() if data is None else ("torch", "timm", "safetensors")), *(("matplotlib",) if picture else ()))
    from msgspec.structs import replace

    from edge_sdk.model.bundle import open_bundle
    from edge_sdk.terminal.text import open_console, say
    from edge_sdk.types import View
    from edge_sdk.workbench.calibrate_looks import calibrate_looks
    from edge_sdk.workbench.calibration import FEWEST, Rule
    from edge_sdk.workbench.event_records import has_visits, spaced_frames
    from edge_sdk.workbench.few_labels import calibrate_few
    from edge_sdk.workbench.questions import read_answers
    from edge_sdk.workbench.records_file import load_records
    from edge_sdk.workbench.write_calibration import write_event_calibration, write_few, write_looks

    given_tables = read_tables(bundle, **tables)
    if (ask or answers) and given_tables.asked:
        raise click.UsageError("expected --ask and --answers without priors or taxonomy: their rules need all labels")
    if regions_only and given_tables.asked:
        raise click.UsageError("expected --regions-only without priors or taxonomy: their rules are of all frames")
    given = {name: value for name, value in limits.items() if value is not None} or {"eps": 0.01}
    rule = Rule(**given, delta=delta, frames_per_day=frames_per_day)

    def promise_of(eps: float | None) -> Rule:
        return rule if eps is None else Rule(eps=eps, delta=delta, frames_per_day=frames_per_day)

    before = policy = open_bundle(bundle).policy
    usual, near = upload or policy.upload, region_upload or policy.region_upload
    usual = replace(usual, max_side=max_side or usual.max_side, quality=quality or usual.quality)
    console = open_console()
    if files is not None:
        little, cloud = (load_records(path) for path in files)
        if big is not None:
            say(console, f"--big is not needed with --records, which are of {cloud.info.model}")
    else:
        assert data is not None and big is not None
        views = {"view": view and View(view), "send": send and View(send), "region_upload": region_upload}
        finders = detector, boxes
        little, cloud = _run(
            console, bundle, big, data, usual, label_map, views, finders, unlabelled=bool(ask or answers)
        )
        if line := regions_line(one for one in (little, cloud) if one.info.view != View.FRAME):
            say(console, line)
    if ask is not None:
        _ask(console, ask, little, cloud, rule, bundle, files)
        return
    if answers is not None:
        few = calibrate_few(little, cloud, rule, read_answers(answers, little), upload=usual)
        few = write_few(bundle, few, big=cloud.info.reference, rule=rule)
        say(console, f"cascade against big {few.difference.points()} on {few.evaluated} frames")
        say(console, few.sentence())
        if outside is not None:
            _outside(console, bundle, little, outside)
        return
    visits = per == "event" or (per is None and has_visits(little))
    spaced = spaced_frames(little, FEWEST) if visits else None
    seen = little
    placed = given_tables.placed(console, little, cloud, spaced)
    if placed is not None:
        little, cloud = placed.little, placed.big
    whole = little, cloud
    if spaced is not None:
        little, cloud, seen = little.part(spaced), cloud.part(spaced), seen.part(spaced)
        say(
            console,
            f"frames: {int(spaced.sum())} of {len(spaced)}, since those of a visit look alike",
        )
    found = calibrate_looks(
        little,
        cloud,
        rule,
        upload=usual,
        region_upload=near,
        learned_gate=not no_gate,
        kept=before if regions_only else None,
        still_rule=promise_of(still_eps),
    )
    if found.note:
        say(console, found.note)
    event_rule = promise_of(event_eps)
    events = _events(console, *whole, found.policy, event_rule, per) if visits else None
    policy = given_tables.in_policy(console, found.policy, little, cloud, placed, delta)
    given_tables.write(console)
    found = dataclasses.replace(found, policy=policy)
    found = write_looks(bundle, found, big=cloud.info.reference, rule=rule, view=View(little.info.view))
    if events is not None:
        write_event_calibration(bundle, events, event_rule)
    if outside is not None:
        _outside(console, bundle, dataclasses.replace(little, energy=seen.energy), outside)
    for name, one in found.parts:
        if one.comparisons:
            console.print(score_table(one.comparisons, name))
        console.print(hardness_table(one.bins, name))
        say(console, f"{name}: {accuracies(one)}" if name else accuracies(one))
    for sentence in found.sentences():
        say(console, sentence)
    if events is not None:
        say(console, events.sentence())
    if picture is not None:
        from edge_sdk.workbench.draw import draw_calibration

        draw_calibration(picture, found.parts, f"{bundle.resolve().name} against {cloud.info.model}", events)
        say(console, f"wrote {picture}")


def _run(
    console: Console,
    bundle: Path,
    big: str,
    data: str,
    upload: Upload,
    label_map: dict[str, str],
    views: Mapping[str, Any],
    finders: tuple[Path | None, Path | None],
    *,
    unlabelled: bool,
) -> tuple[Records, Records]:
    """Run both models over the pictures."""
    from edge_sdk.model.bundle import open_bundle
    from edge_sdk.terminal.progress import progress_bars
    from edge_sdk.types import View
    from edge_sdk.workbench.data import measuring_split, open_source
    from edge_sdk.workbench.labelled import read_all
    from edge_sdk.workbench.looks import photo_regions
    from edge_sdk.workbench.write_calibration import run_pair

    seen = [0]
    stopped = when_stopped(lambda: f"{seen[0]} pictures seen; policy.json is unchanged")
    with stopped, progress_bars(console) as bars:
        source = open_source(data, measuring_split(data))
        told = open_bundle(bundle)
        seen_as = [View(views["view"] or told.manifest.view), View(views["send"] or told.policy.send)]
        finding = check_finding(*finders, seen_as)
        if any(one is not View.FRAME for one in seen_as):
            source = photo_regions(source, finding)
        task = bars.add_task("pictures", total=sum(map(source.size, range(source.parts))))

        def on_done(done: int) -> None:
            seen[:] = [done]
            bars.update(task, completed=done)

        file, served_as = served_big(big)
        return run_pair(
            bundle,
            file,
            read_all(source),
            upload=upload,
            label_map=label_map,
            served_as=served_as,
            unlabelled=unlabelled,
            on_done=on_done,
            **views,
        )


def _outside(console: Console, bundle: Path, little: Records, share: float) -> None:
    """Write the rule on frames that look like none of calibration."""
    from edge_sdk.terminal.text import say
    from edge_sdk.workbench.outside_rule import write_outside

    rule = write_outside(bundle, little, share)
    say(
        console,
        f"{rule.share:.1%} of the exits look least like the others and go to the cloud, at a gain of {rule.gain:g}",
    )


def _events(
    console: Console, little: Records, cloud: Records, policy: Policy, rule: Rule, per: str | None
) -> EventCalibration | None:
    """The rule of visits; where they were not asked for and cannot be calibrated, why not."""
    from edge_sdk.errors import WorkbenchError
    from edge_sdk.terminal.text import say
    from edge_sdk.workbench.calibrate_events import calibrate_events
    from edge_sdk.workbench.event_records import events_from_records

    try:
        return calibrate_events(events_from_records(little, cloud, policy), rule)
    except WorkbenchError as error:
        if per == "event":
            raise
        say(console, f"visits have no rule and are answered frame by frame: {error}")
        return None


def _ask(
    console: Console,
    path: Path,
    little: Records,
    cloud: Records,
    rule: Rule,
    bundle: Path,
    files: tuple[Path, Path] | None,
) -> None:
    """Write the questions, and what the models said where that is not in files yet."""
    from edge_sdk.terminal.text import say
    from edge_sdk.workbench.few_labels import ask
    from edge_sdk.workbench.questions import write_questions
    from edge_sdk.workbench.records_file import save_records

    questions = ask(little, cloud, rule)
    if files is None:
        files = path.with_suffix(".little.npz"), path.with_suffix(".big.npz")
        save_records(files[0], little)
        save_records(files[1], cloud)
        say(console, f"wrote {files[0]} and {files[1]}")
    write_questions(path, questions, little, cloud)
    say(
        console,
        f"wrote {path}: {len(questions)} of {len(little)} frames ({len(questions) / len(little):.1%}) on which the "
        "models differ. Fill the column answer from the top with the class that each shows, - where none fits; stop "
        "where you like. Then, with the same rule:",
    )
    say(console, f"edge-sdk calibrate --bundle {bundle} --records {files[0]} {files[1]} --answers {path}")


def accuracies(found: Calibration) -> str:
    """What both models and the cascade get right, and what that costs."""
    cost = (
        f"{found.point.macs / 1e6:.1f} MMAC a frame, {found.point.macs / found.curve.big_macs:.1%} of the big model's"
    )
    if not found.point.macs > 0:
        cost = "the MACs of a model are unknown"
    return (
        f"little {found.little_accuracy:.1%}, cascade {found.point.accuracy:.1%}, big {found.big_accuracy:.1%}; "
        f"cascade against big {found.difference.points()}; {cost}"
    )


def score_table(comparisons: Sequence[Comparison], frames: str = "") -> Rows:
    """How each score ranks the frames, against the maximum softmax; `frames`: which ones."""
    from edge_sdk.terminal.tables import Rows

    columns = ("score", "area, points", "against max softmax", "95%", "MACs at no loss")
    table = Rows(f"Scores, cross-validated{frames and f', {frames}'}", columns)
    for one in comparisons:
        spread = f"{100 * one.low:+.2f} .. {100 * one.high:+.2f}"
        name = f"{one.name} (better beyond noise)" if one.better else one.name
        table.add(
            name,
            f"{100 * one.area:.2f}",
            f"{100 * one.difference:+.2f}",
            spread,
            "unknown" if one.macs_lossless != one.macs_lossless else f"{one.macs_lossless:.1%}",
        )
    return table


def hardness_table(bins: Sequence[HardnessBin], frames: str = "") -> Rows:
    """What the big model changes, by the little model's confidence; `frames`: which ones."""
    from edge_sdk.terminal.tables import Rows

    columns = ("confidence", "frames", "both right", "corrected", "broken", "both wrong", "gain per offload")
    table = Rows(f"{frames.capitalize() or 'Frames'} by what a second opinion does", columns)
    for one in bins:
        if one.records:
            counts = (one.records, one.both_right, one.correctable, one.broken, one.both_wrong)
            table.add(f"{one.low:.1f} - {one.high:.1f}", *counts, f"{one.gain:+.3f}")
    return table
