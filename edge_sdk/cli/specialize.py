"""`edge-sdk specialize`: a small model for one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_sdk.cli.given import refuse_pretrained, refuse_together
from edge_sdk.cli.options import (
    OLD_FOLDER,
    big_option,
    label_map_option,
    option,
    out_option,
    pretrained_option,
    regions_options,
    seed_option,
    served_big,
    threads_option,
    view_option,
)
from edge_sdk.cli.regions import TWO_FINDERS, check_finding
from edge_sdk.cli.twins import tell_twins
from edge_sdk.terminal.command import need, when_stopped

_TARGET = "What the model may cost: params=10x, macs=50M, ...; not with N:M patterns. May be repeated."
_PICTURES = click.Path(exists=True, path_type=Path)
_DATA = (
    "Pictures of the task: a folder with one folder for each class, a CSV with the columns file and label, or the "
    "folder of cloud-server --archive."
)
_GENERIC = "Folder of any other pictures, for the control: the same compression on as many of them."
_TEST = "Folder of pictures to evaluate on, one folder for each class.  [default: those of --data that are not used]"
_UNLABELLED = "Folder of more pictures of the place, in any order: the big model answers them."
_MOST_UNLABELLED = 4000
_RATE = "Peak learning rate of the distillation; less, such as 5e-5, for an EfficientNet."
_CLASSES = "The task's classes, with commas between them.  [default: all folders of --data]"
_MIN_CONFIDENCE = "Least confidence of the cloud's answers that are used as labels."
_VIEW = "What of a frame the bundle looks at: it is made and measured on such looks at the pictures of the task."
_ALLOW = "Operator that may stay outside XNNPACK; may be repeated."


@click.command()
@big_option()
@pretrained_option()
@option("--data", required=True, type=_PICTURES, metavar="PICTURES", help=_DATA, old_names=("--task",))
@click.option("--shots", default=16, show_default=True, type=click.IntRange(1), help="Pictures used of each class.")
@click.option("--target", "targets", multiple=True, metavar="MEASURE=VALUE", help=_TARGET)
@out_option("Bundle folder to write.", folder=True)
@click.option("--generic", type=OLD_FOLDER, metavar="PICTURES", help=_GENERIC)
@click.option("--without-control", is_flag=True, help="Make no control.")
@click.option("--test", type=_PICTURES, metavar="PICTURES", help=_TEST)
@click.option("--unlabelled", type=OLD_FOLDER, metavar="PICTURES", help=_UNLABELLED)
@label_map_option("class of the task", old_names=("--labels",))
@click.option("--classes", help=_CLASSES)
@click.option("--min-confidence", default=0.8, show_default=True, type=click.FloatRange(0, 1), help=_MIN_CONFIDENCE)
@click.option("--pattern", default="structured", show_default=True, help="structured, unstructured or N:M.")
@click.option(
    "--allocation",
    default="error",
    show_default=True,
    type=click.Choice(["error", "even"]),
    help="How the cuts are divided among layers.",
)
@click.option(
    "--schedule",
    default="once",
    show_default=True,
    type=click.Choice(["once", "gradual"]),
    help="Whether the cuts are made in one step.",
)
@click.option(
    "--damping",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Share of the mean diagonal that is added to each Hessian.",
)
@click.option("--steps", default=600, show_default=True, type=click.IntRange(0), help="Steps of distillation after it.")
@click.option("--learning-rate", default=5e-4, show_default=True, type=click.FloatRange(0, min_open=True), help=_RATE)
@click.option("--name", default="", help="Name of the model.  [default: the folder's name]")
@click.option("--allow", multiple=True, metavar="OPERATOR", help=_ALLOW)
@view_option(_VIEW, default="frame", show_default=True)
@regions_options()
@seed_option()
@threads_option()
def specialize(
    big: str,
    pretrained: bool,
    data: Path,
    shots: int,
    targets: tuple[str, ...],
    out: Path,
    generic: Path | None,
    without_control: bool,
    test: Path | None,
    unlabelled: Path | None,
    label_map: dict[str, str],
    classes: str | None,
    min_confidence: float,
    pattern: str,
    allocation: str,
    schedule: str,
    damping: float,
    steps: int,
    learning_rate: float,
    name: str,
    allow: tuple[str, ...],
    view: str,
    detector: Path | None,
    boxes: Path | None,
    seed: int,
    threads: int | None,
) -> None:
    """Make a small model for one place from a big one and a few pictures (TACO, arXiv 2303.14409).

    Writes the bundle OUT, the network OUT.safetensors, and OUT-report.json and .png. If stopped, the same command
    continues. Targets: params=10x or params=1.2M, macs=4x or macs=50M, latency=3x or latency_ms=2.5, size=8x or
    size=500kB; several must all hold.
    """
    refuse_together(("--generic", "--without-control", "the generic pictures are for the control"), TWO_FINDERS)
    refuse_pretrained([big], pretrained)
    if schedule == "gradual" and ":" in pattern:
        raise click.UsageError(f"expected --schedule once with --pattern {pattern}, which is one step; got gradual")
    if targets and ":" in pattern:
        raise click.UsageError(f"expected no --target with --pattern {pattern}, which says itself what stays")
    if generic is None and not without_control:
        raise click.UsageError(
            "expected --generic FOLDER, any other pictures, to see what the task's own are worth; or --without-control"
        )
    if not targets and pattern == "structured":
        raise click.UsageError("expected --target, what the model may cost: params=10x, macs=50M, latency=3x, ...")
    need("torch", "timm", "scipy", "executorch", "matplotlib", "torch_pruning")
    from edge_sdk.terminal.progress import loading, progress_bars, shown_by
    from edge_sdk.terminal.text import open_console, say

    console = open_console()
    with loading(console):
        from edge_sdk.networks.checkpoint import create_model
        from edge_sdk.types import View
        from edge_sdk.workbench.draw_specialist import draw_report
        from edge_sdk.workbench.specialize.method import Method
        from edge_sdk.workbench.specialize.recipe import Recipe
        from edge_sdk.workbench.specialize.report import report_table, write_report
        from edge_sdk.workbench.specialize.samples import read_unlabelled
        from edge_sdk.workbench.specialize.specialist import specialize as run
        from edge_sdk.workbench.specialize.target import parse_targets
        from edge_sdk.workbench.specialize.task import read_task, read_test, task_places
        from edge_sdk.workbench.threads import take_threads

        taken = take_threads(threads)
    wanted, look = parse_targets(targets), View(view)
    finding = check_finding(detector, boxes, [look])
    say(console, taken.sentence())
    method = Method(
        pattern=pattern,
        allocation=allocation,  # type: ignore[arg-type]
        schedule=schedule,  # type: ignore[arg-type]
        damping=damping,
        recipe=Recipe(steps=steps, learning_rate=learning_rate),
        seed=seed,
    )
    at = ["nothing done yet"]
    with when_stopped(lambda: f"{at[0]}; the same command continues"), progress_bars(console) as bars:
        show = shown_by(bars)

        def on_progress(what: str, done: int, of: int) -> None:
            at[:] = [f"{what}: {done} of {of} done"]
            show(what, done, of)

        on_progress("read model and pictures", 0, 0)
        module, info = create_model(served_big(big)[0], pretrained=pretrained)
        names = tuple(part.strip() for part in classes.split(",")) if classes else None
        seen: dict[str, Any] = {"view": look, "finding": finding}
        task = read_task(data, shots, info.input, classes=names, min_confidence=min_confidence, seed=seed, **seen)
        if task.left_out:
            say(console, f"left out, fewer than {shots} frames: {', '.join(task.left_out)}")
        tell_twins(console, task_places(task, test, seed), show)
        samples, judged = task.samples, read_test(task, test, info.input, seed, **seen)
        if task.looks is not None and (line := task.looks.sentence()):
            say(console, line)
        others = None if generic is None else read_unlabelled(generic, samples.count, info.input, seed)
        more = None
        if unlabelled is not None:
            more = read_unlabelled(unlabelled, _MOST_UNLABELLED, info.input, seed, fewer=True)
        made = run(
            module,
            info,
            samples,
            out,
            targets=wanted,
            generic=others,
            test=judged,
            unlabelled=more,
            mapping=label_map,
            method=method,
            name=name,
            allow=allow,
            view=look,
            on_progress=on_progress,
        )
    report = made.report
    for layer, reason in report.dense.items():
        say(console, f"left dense: {layer} ({reason})")
    console.print(report_table(report))
    say(console, report.sentence())
    say(console, report.spent.sentence())
    write_report(out.with_name(f"{out.name}-report.json"), report)
    picture = out.with_name(f"{out.name}-report.png")
    draw_report(picture, report, f"{report.model} for {len(report.task)} classes")
    say(console, f"wrote {out}, {made.checkpoint}, {picture}; next: edge-sdk calibrate --bundle {out} ...")
