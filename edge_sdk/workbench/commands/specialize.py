"""The workbench's command that makes a small model for one place: `edge-sdk specialize`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.commands.options import progress_bars

if TYPE_CHECKING:
    from edge_sdk.model.bundle import InputSpec
    from edge_sdk.workbench.specialize.samples import Samples


@click.command()
@click.option("--big", required=True, help="The big model: a .safetensors checkpoint, or timm's name.")
@click.option("--pretrained", is_flag=True, help="timm's pretrained weights.")
@click.option(
    "--task",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Pictures of the task, one folder a class; or what cloud-server --keep has kept.",
)
@click.option("--shots", default=16, show_default=True, type=click.IntRange(1), help="Pictures used of each class.")
@click.option(
    "--target", "targets", multiple=True, metavar="MEASURE=VALUE", help="params=10x, macs=50M, ...; none with N:M."
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The bundle's folder.")
@click.option(
    "--generic",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Any other pictures, for the control: the same compression on as many of them.",
)
@click.option("--without-control", is_flag=True, help="Leave the control out.")
@click.option(
    "--test",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="To judge on, one folder a class.  [default: the pictures of --task that are not used]",
)
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSON, {"big model\'s class": "the task\'s class"}.',
)
@click.option("--classes", help="Names of the task's classes, with commas.  [default: all folders of --task]")
@click.option("--min-confidence", default=0.8, show_default=True, type=click.FloatRange(0, 1), help="Of kept answers.")
@click.option(
    "--pattern", default="structured", show_default=True, metavar="PATTERN", help="structured, unstructured or N:M."
)
@click.option("--allocation", default="error", show_default=True, type=click.Choice(["error", "even"]))
@click.option("--schedule", default="once", show_default=True, type=click.Choice(["once", "gradual"]))
@click.option("--damping", default=0.01, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option(
    "--steps", default=600, show_default=True, type=click.IntRange(0), help="Of the distillation after the cut."
)
@click.option("--name", default="", help="Of the model.  [default: the folder's name]")
@click.option("--allow", multiple=True, metavar="OPERATOR", help="May run outside XNNPACK though it is heavy.")
@click.option("--seed", default=0, show_default=True)
def specialize(
    big: str,
    pretrained: bool,
    task: Path,
    shots: int,
    targets: tuple[str, ...],
    out: Path,
    generic: Path | None,
    without_control: bool,
    test: Path | None,
    labels: Path | None,
    classes: str | None,
    min_confidence: float,
    pattern: str,
    allocation: str,
    schedule: str,
    damping: float,
    steps: int,
    name: str,
    allow: tuple[str, ...],
    seed: int,
) -> None:
    """Make a small model for one place from a big one and a few pictures (TACO, arXiv 2303.14409).

    Writes the bundle OUT, the network OUT.safetensors, and OUT-report.json and .png. Stopped at any moment, the same
    command goes on where it was. Targets: params=10x or params=1.2M, macs=4x or macs=50M, latency=3x or latency_ms=2.5,
    size=8x or size=500kB; several must all hold.
    """
    from edge_sdk.networks.checkpoint import create_model
    from edge_sdk.workbench.draw import draw_report
    from edge_sdk.workbench.specialize.method import Method
    from edge_sdk.workbench.specialize.recipe import Recipe
    from edge_sdk.workbench.specialize.report import report_table, write_report
    from edge_sdk.workbench.specialize.samples import read_unlabelled
    from edge_sdk.workbench.specialize.specialist import specialize as run
    from edge_sdk.workbench.specialize.target import parse_targets

    if generic is None and not without_control:
        raise click.UsageError(
            "expected --generic FOLDER, any other pictures, to see what the task's own are worth; or --without-control"
        )
    if not targets and pattern == "structured":
        raise click.UsageError("expected --target, what the model may cost: params=10x, macs=50M, latency=3x, ...")
    wanted = parse_targets(targets)
    module, info = create_model(big, pretrained=pretrained)
    mapping = _mapping(labels)
    names = tuple(part.strip() for part in classes.split(",")) if classes else None
    samples, rest = _samples(task, shots, seed, names, min_confidence, info.input)
    evaluated = _test_samples(test, rest, samples.labels, info.input, seed)
    others = None if generic is None or without_control else read_unlabelled(generic, len(samples), info.input, seed)
    method = Method(
        pattern=pattern,
        allocation=allocation,  # type: ignore[arg-type]
        schedule=schedule,  # type: ignore[arg-type]
        damping=damping,
        recipe=Recipe(steps=steps),
        seed=seed,
    )
    console = Console()
    with progress_bars(console) as bars:
        made = run(
            module,
            info,
            samples,
            out,
            targets=wanted,
            generic=others,
            test=evaluated,
            mapping=mapping,
            method=method,
            name=name,
            allow=allow,
            on_progress=_shown(bars),
        )
    report = made.report
    for layer, reason in report.dense.items():
        console.print(f"left dense: {layer} ({reason})", soft_wrap=True)
    console.print(report_table(report))
    console.print(report.sentence(), soft_wrap=True)
    console.print(f"{report.seconds:.0f} s, at most {report.peak_memory_bytes / 1e9:.1f} GB of memory")
    write_report(out.with_name(f"{out.name}-report.json"), report)
    picture = out.with_name(f"{out.name}-report.png")
    draw_report(picture, report, f"{report.model} for {len(report.task)} classes")
    console.print(
        f"wrote {out}, {made.checkpoint}, {picture}; next: edge-sdk calibrate --bundle {out} ...", soft_wrap=True
    )


def _samples(
    task: Path,
    shots: int,
    seed: int,
    classes: tuple[str, ...] | None,
    min_confidence: float,
    spec: InputSpec,
) -> tuple[Samples, dict[str, list[Path]]]:
    """The few pictures, and the class folders' others."""
    from edge_sdk.workbench.pseudo_labels import choose, read_pseudo_labels
    from edge_sdk.workbench.specialize.samples import class_files, draw_shots, read_samples

    if any((task / file).is_file() for file in ("answers.jsonl", "answers.csv")):
        chosen = choose(read_pseudo_labels(task, min_confidence=min_confidence), shots, classes, seed)
        few = {name: paths for name, paths in chosen.items() if len(paths) >= shots}
        left_out = sorted(set(chosen) - set(few))
        if len(few) < 2 or (classes and left_out):
            counts = ", ".join(f"{name} {len(paths)}" for name, paths in chosen.items()) or "none"
            raise WorkbenchError(
                f"expected {shots} frames of two classes or more that the cloud was sure of; got {counts}. Ask for "
                "fewer shots, a lower --min-confidence, or other --classes"
            )
        if left_out:
            click.echo(f"left out, fewer than {shots} frames: {', '.join(left_out)}")
        return read_samples(few, spec), {}
    files = class_files(task)
    if classes:
        if absent := [name for name in classes if name not in files]:
            raise WorkbenchError(f"expected classes among {', '.join(files)}; got {', '.join(absent)}")
        files = {name: files[name] for name in classes}
    used, rest = draw_shots(files, shots, seed)
    return read_samples(used, spec), rest


def _test_samples(
    test: Path | None, rest: Mapping[str, Sequence[Path]], labels: tuple[str, ...], spec: InputSpec, seed: int
) -> Samples | None:
    """Pictures to judge on: at most `_MOST_TEST`, as many of each class as there are."""
    from edge_sdk.workbench.specialize.samples import class_files, draw_shots, read_samples

    files: Mapping[str, Sequence[Path]] = rest
    if test is not None:
        files = class_files(test)
        if absent := [name for name in labels if name not in files]:
            raise WorkbenchError(f"expected test pictures of each class; none of {', '.join(absent)} in {test}")
        files = {name: files[name] for name in labels}
    most = max(1, _MOST_TEST // len(labels))
    files = {name: draw_shots({name: paths}, min(most, len(paths)), seed)[0][name] for name, paths in files.items()}
    return read_samples(files, spec) if any(files.values()) else None


_MOST_TEST = 3000


def _mapping(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WorkbenchError(f"expected a JSON object in {path}: {error}") from error
    if not isinstance(mapping, dict) or not all(isinstance(value, str) for value in mapping.values()):
        raise WorkbenchError(f'expected {{"big model\'s class": "the task\'s class"}} in {path}; got {mapping!r:.80}')
    return mapping


def _shown(bars: Any) -> Callable[[str, int, int], None]:
    tasks: dict[str, Any] = {}

    def show(what: str, done: int, of: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=of)
        bars.update(tasks[what], completed=done, total=of)

    return show
