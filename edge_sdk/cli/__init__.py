"""The command `edge-sdk`: a look at bundles, answers and cameras, and the way into the workbench."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from edge_sdk import __version__
from edge_sdk.cli.keys import keys
from edge_sdk.errors import EdgeError

# The workbench imports torch: its commands are loaded when they are called, and named here for the list of commands.
_WORKBENCH = {
    "calibrate": "Choose a bundle's threshold against a big model, with a guarantee.",
    "cascade": "Thresholds for two or more models from their records.",
    "companion": "Find the little model that saves a big one most (TinySaver).",
    "ladder": "Choose how pictures travel: accuracy against bytes over sizes, qualities, formats.",
    "records": "Run models over labelled pictures and keep what each said.",
    "export": "Quantise a model and write it as a bundle for the device.",
    "sequence": "Attach early exits to a big model, that go on from the little model's answer.",
    "specialize": "Make a small model for one place from a big one and a few pictures (TACO).",
    "train": "Train or fine-tune a timm model on photos or on the simulated camera.",
}
_ROOMS = {
    "train": "models",
    "export": "models",
    "calibrate": "calibrate",
    "sequence": "sequence",
    "ladder": "ladder",
    "specialize": "specialize",
}
_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


class _Commands(click.Group):
    """The commands of this module, and those of the workbench by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_WORKBENCH])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _WORKBENCH:
            return super().get_command(ctx, cmd_name)
        try:
            module = f"edge_sdk.workbench.commands.{_ROOMS.get(cmd_name, 'records')}"
            command = getattr(import_module(module), cmd_name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("edge_sdk"):
                raise
            raise click.ClickException(
                f"`edge-sdk {cmd_name}` needs {error.name}: pip install '.[workbench]' (a workstation's tools)"
            ) from None
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the workbench's commands without loading them."""
        own = {name: (self.commands[name].get_short_help_str(80)) for name in self.commands}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**own, **_WORKBENCH}.items()))


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="edge-sdk")
def cli() -> None:
    """A little model on the device, a big one in the cloud."""


cli.add_command(keys)


@cli.command()
@click.argument("bundle", default="trailcam")
def info(bundle: str) -> None:
    """Check a bundle, a folder or a name that ships, and describe it."""
    from edge_sdk.model.little import LittleModel
    from edge_sdk.report.display import macs_text

    with LittleModel(bundle) as model:
        manifest, opened = model.manifest, model.bundle
        table = Table(title=f"{manifest.name} {manifest.version}", title_justify="left", show_header=False)
        size = manifest.input
        table.add_row("folder", str(opened.path))
        table.add_row("labels", f"{len(manifest.labels)}: {', '.join(manifest.labels[:20])}")
        table.add_row("input", f"{size.width}x{size.height}, {size.resize}")
        table.add_row("size", f"{manifest.parameters:,} parameters, {macs_text(manifest.macs)}, {manifest.precision}")
        policy = opened.policy
        rule = (
            f"exit at an expected gain of {policy.gate.exit_at_or_below:.4f} or less (learned gate)"
            if policy.gate
            else (f"exit at a confidence of {policy.threshold:.3f} or more")
        )
        table.add_row("rule", f"{rule}, temperature {policy.temperature:.3f}")
        table.add_row("upload", opened.policy.upload.name)
        if policy.ladder:
            rungs = (
                f"{rung.upload.name} ({rung.mean_bytes / 1e3:.1f} kB, {rung.relative_gain:.0%})"
                for rung in policy.ladder
            )
            table.add_row("ladder", "  ".join(rungs))
        table.add_row("calibration", "  ".join(f"{name} {value}" for name, value in opened.policy.calibration.items()))
        table.add_row("made with", "  ".join(f"{name} {version}" for name, version in manifest.made_with.items()))
        table.add_row("runtime here", f"{model.runtime}; the golden frame gives the expected output")
        Console().print(table)


@cli.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--bundle", default="trailcam", show_default=True, help="A bundle's folder, or a name that ships.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def classify(images: tuple[Path, ...], bundle: str, as_json: bool) -> None:
    """Ask the little model about photos; a broken one is reported, and the rest go on."""
    from edge_sdk.images.read import read_image
    from edge_sdk.model.little import LittleModel
    from edge_sdk.model.policy import ExitPolicy

    failed = False
    with LittleModel(bundle) as model:
        policy = ExitPolicy(model.bundle.policy)
        for path in images:
            try:
                prediction = model.predict(read_image(path).image)
            except EdgeError as error:
                failed = True
                click.echo(f"{path}: {error}", err=True)
                continue
            exits = policy.decide(prediction).exits
            if as_json:
                chances = dict(zip(prediction.labels, prediction.probabilities.tolist(), strict=True))
                line = {"source": str(path), "label": prediction.label, "exits": exits, "probabilities": chances}
                click.echo(msgspec.json.encode(line).decode())
            else:
                word = "exit" if exits else "offload"
                click.echo(f"{path}: {prediction.label} {prediction.confidence:.2f} ({word})")
    if failed:
        sys.exit(1)


@cli.command()
@click.option(
    "--state", type=click.Path(path_type=Path), help="Folder of the device's state.  [default: the user's state folder]"
)
@click.option("--since", type=_TIME, help="Captured at or after this time (UTC).")
@click.option("--until", type=_TIME, help="Captured before this time (UTC).")
@click.option("--label", help="Only this label.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def journal(
    state: Path | None,
    since: datetime | None,
    until: datetime | None,
    label: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print the answers that a device has given."""
    from edge_sdk.report.display import answer_text
    from edge_sdk.store.journal import Journal

    with Journal(_journal_path(state)) as answers:
        for entry in answers.query(since=_utc(since), until=_utc(until), label=label, limit=limit):
            if as_json:
                click.echo(msgspec.json.encode(entry).decode())
            else:
                word = "" if entry.answer.final else ", waits for the cloud"
                note = f"  {entry.note}" if entry.note else ""
                when = f"{entry.answer.captured_at:%Y-%m-%d %H:%M:%S}"
                click.echo(f"{when}  {entry.answer.source}  {answer_text(entry.answer)}{word}{note}")


@cli.command()
@click.option("--bundle", default="trailcam", show_default=True, help="A bundle's folder, or a name that ships.")
@click.option(
    "--state", type=click.Path(path_type=Path), help="Folder of the device's state.  [default: the user's state folder]"
)
@click.option("--frames", default=1000, show_default=True, type=click.IntRange(min=1), help="Look at so many.")
def drift(bundle: str, state: Path | None, frames: int) -> None:
    """Say whether frames still look as they did at calibration; exits with 1 if not."""
    from edge_sdk.model.bundle import open_bundle
    from edge_sdk.model.drift import check_drift
    from edge_sdk.store.journal import Journal

    opened = open_bundle(bundle)
    usual = opened.policy.confidences
    if usual is None:
        raise click.ClickException(f"{opened.path}: policy.json holds no confidences: run `edge-sdk calibrate` anew")
    with Journal(_journal_path(state)) as answers:
        found = check_drift(usual, answers.device_confidences(frames))
    click.echo(found.sentence())
    if found.drifted:
        sys.exit(1)


@cli.command("contact-sheet")
@click.option("--out", default="contact-sheet.png", show_default=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Of the simulated camera.")
def contact_sheet(out: Path, seed: int) -> None:
    """Draw a sheet of the simulated camera's classes, lights and weathers."""
    import cv2

    from edge_sdk.camera import simulated

    sheet = simulated.contact_sheet(rows=6, columns=7, seed=seed)
    if not cv2.imwrite(str(out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise click.ClickException(f"cannot write {out}")
    click.echo(f"{out}")


def _journal_path(state: Path | None) -> Path:
    from edge_sdk.config import default_state_dir

    path = (state or default_state_dir()) / "state.db"
    if not path.exists():
        raise click.ClickException(f"no journal at {path}: name the folder with --state")
    return path


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None


def main() -> None:
    """The console script: an error that the SDK foresees is one line, not a traceback."""
    try:
        cli()
    except EdgeError as error:
        sys.exit(f"edge-sdk: {error}")
