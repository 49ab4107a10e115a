"""`edge-sdk train`: train or fine-tune a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.cli.given import given, refuse_together, refuse_without
from edge_sdk.cli.options import (
    cache_option,
    data_option,
    option,
    out_option,
    parse_name_values,
    parse_size,
    pretrained_option,
    regions_options,
    seed_option,
    threads_option,
    view_option,
)
from edge_sdk.cli.regions import TWO_FINDERS
from edge_sdk.cli.twins import tell_twins
from edge_sdk.cli.weights_option import WeightsFile, arch_option, model_or_checkpoint, with_arch
from edge_sdk.terminal.command import need, when_stopped

if TYPE_CHECKING:
    from rich.console import Console

    from edge_sdk.workbench.train import Progress

_SHARE = click.FloatRange(0, 1)
_OPEN = click.FloatRange(0, 1, min_open=True, max_open=True)
_COUNT = click.IntRange(1)
_VALUES = "NAME=VALUE"
_PICTURE_SIZE = "Size at which prepared pictures are kept, so that several trainings share them."
_DEFERRAL = "Tune a trained --checkpoint to be sure where it is right and unsure where it is wrong (Gatekeeper)."
_DEFERRAL_WEIGHT = "Weight of the right answers; less: more frames left to the big model, less accuracy alone."
_DEDUPLICATE = "Leave training pictures out that are nearly the same as one of another split, or lie under two classes."
_QAT = (
    "Tune a trained --checkpoint so that int8 keeps its answers, learning them through int8's rounding; labels are not "
    "looked at. Uses --data, --epochs [4], --batch [8], --learning-rate [1e-5], --seed and --version."
)
_VIEW = (
    "What of a picture the network looks at: with region or both it learns what moved, too, where --data knows that; "
    "validation is of this view.  [default: as --checkpoint says, else frame]"
)
_FINISH_NOW = "Learn no further: evaluate what a stopped training saved last, and write it."
_NOT_WITH_QAT = (
    *("--deferral", "--teacher", "--finish-now", "--val", "--label-smoothing", "--augment", "--autocast", "--device"),
    *("--size", "--picture-size", "--average", "--weight-decay", "--warmup", "--precision", "--deduplicate", "--view"),
    *("--detector", "--boxes"),
)
_CONTRADICTIONS = (
    TWO_FINDERS,
    ("--pretrained", "--checkpoint", "the network starts from timm's weights or from the checkpoint's"),
    ("--model-option", "--checkpoint", "a checkpoint has the options that it was made with"),
    ("--teacher", "--deferral", "each is a loss of its own"),
    ("--label-smoothing", "--deferral", "the loss of deferral has no label smoothing"),
    *(("--qat", name, "the network learns its own answers") for name in _NOT_WITH_QAT),
)
_NEEDS = (
    ("--deferral", "--checkpoint", "it tunes a network that is trained already"),
    ("--deferral-weight", "--deferral", "it is part of that loss"),
    ("--teacher-weight", "--teacher", "it is the teacher's share"),
    ("--qat", "--checkpoint", "it tunes a network that is trained already"),
)


@click.command()
@click.option("--model", callback=with_arch, help="timm name of the network, or a file of weights to start from.")
@arch_option()
@click.option("--checkpoint", type=WeightsFile(), help="Start from these weights, a checkpoint or others (.pth).")
@pretrained_option()
@click.option(
    "--model-option", multiple=True, callback=parse_name_values, metavar=_VALUES, help="For timm's create_model."
)
@data_option(note="To train on.")
@click.option("--val", metavar="PICTURES", help="Pictures to validate on.  [default: a split of --data]")
@out_option(".safetensors checkpoint to write.")
@click.option("--size", callback=parse_size, metavar="WxH", help="Input size.  [default: the model's own]")
@click.option("--epochs", default=20, show_default=True, type=_COUNT, help="Passes over the pictures.")
@click.option("--batch", default=64, show_default=True, type=_COUNT, help="Pictures per step.")
@click.option("--learning-rate", default=2e-3, show_default=True, help="Peak of the learning rate.")
@click.option("--weight-decay", default=0.05, show_default=True, help="Of AdamW.")
@click.option("--average", default=0.998, show_default=True, help="Decay per step of the weights' moving average.")
@click.option("--label-smoothing", default=0.05, show_default=True, help="Of the cross entropy.")
@click.option("--teacher", type=WeightsFile(), help="Checkpoint or other weights to distil from.")
@click.option("--teacher-weight", default=0.7, show_default=True, type=_SHARE, help="Its share in the loss.")
@click.option("--deferral", is_flag=True, help=_DEFERRAL)
@click.option("--deferral-weight", default=0.8, show_default=True, type=_OPEN, help=_DEFERRAL_WEIGHT)
@click.option("--deduplicate", is_flag=True, help=_DEDUPLICATE)
@click.option("--qat", is_flag=True, help=_QAT)
@view_option(_VIEW)
@regions_options()
@click.option("--augment", default=1.0, show_default=True, type=_SHARE, help="Strength of augmentation.")
@option("--picture-size", callback=parse_size, metavar="WxH", help=_PICTURE_SIZE, old_names=("--pictures",))
@seed_option("Seed of weights, order and augmentation.")
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    type=click.Choice(["fp32", "fp16"]),
    help="Number format of the checkpoint's weights.",
)
@click.option("--autocast", type=click.Choice(["bf16"]), help="Run the forward pass in this format (mixed precision).")
@click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"]), help="Where to train.")
@threads_option()
@click.option("--workers", type=_COUNT, help="Processes that render or decode pictures.  [default: as many as threads]")
@click.option("--version", default="", help="Version of the model, for the record.")
@click.option("--finish-now", is_flag=True, help=_FINISH_NOW)
@cache_option("Folder of prepared pictures.  [default: in the user's cache folder]")
def train(
    model: str | None,
    checkpoint: str | None,
    model_option: dict[str, Any],
    size: tuple[int, int] | None,
    picture_size: tuple[int, int] | None,
    precision: str,
    autocast: str | None,
    teacher: str | None,
    deferral: bool,
    deferral_weight: float,
    qat: bool,
    threads: int | None,
    workers: int | None,
    cache: Path | None,
    finish_now: bool,
    detector: Path | None,
    **settings: Any,
) -> None:
    """Train or fine-tune a timm model. If stopped, the same command continues from the last saved step."""
    refuse_together(*_CONTRADICTIONS)
    refuse_without(*_NEEDS)
    need("torch", "timm", "safetensors")
    from edge_sdk.terminal.progress import loading, progress_bars, shown_by
    from edge_sdk.terminal.text import open_console, say

    console = open_console()
    with loading(console):
        from edge_sdk.workbench.spent import Account
        from edge_sdk.workbench.threads import take_threads
        from edge_sdk.workbench.train import train as run
        from edge_sdk.workbench.train_config import TrainConfig
        from edge_sdk.workbench.twins import places_of, to_leave_out

        taken = take_threads(threads)
    start = model_or_checkpoint(model, checkpoint)
    say(console, taken.sentence())
    if qat:
        _tune(console, start, settings)
        return
    config = TrainConfig(
        model=start,
        model_options=model_option,
        width=size[0] if size else None,
        height=size[1] if size else None,
        pictures=picture_size,
        precision="bf16" if autocast else "fp32",
        half=precision == "fp16",
        detector=None if detector is None else str(detector),
        teacher=teacher,
        deferral=deferral_weight if deferral else None,
        threads=taken.number,
        render_workers=workers or taken.number,
        **settings,
    )
    account = Account()
    newest: list[Progress] = []
    prepared = [0, 0]

    def summary() -> str:
        if newest:
            now = newest[-1]
            return (
                f"{now.step} of {now.steps} steps done, loss {now.loss:.3f}; the same command continues the training, "
                "with --finish-now it writes what was saved last"
            )
        return f"{prepared[0]} of {prepared[1]} parts of the pictures prepared; the same command continues"

    with when_stopped(summary), progress_bars(console) as bars:
        show = shown_by(bars)
        training = bars.add_task("training", total=None, visible=False)

        def on_part(done: int, parts: int) -> None:
            prepared[:] = done, parts
            show("pictures", done, parts)

        def on_progress(now: Progress) -> None:
            newest[:] = [now]
            text = f"training, loss {now.loss:.3f}"
            bars.update(training, completed=now.step, total=now.steps, visible=True, description=text)
            if now.accuracy is not None:
                say(console, f"epoch {now.epoch}: loss {now.loss:.3f}, validation accuracy {now.accuracy:.1%}")

        places = [*places_of(config.data), *(places_of(config.val, "val") if config.val else [])]
        cure = "" if config.deduplicate else ", or train with --deduplicate"
        twins = tell_twins(console, places, show, cure=cure)
        if config.deduplicate:
            say(console, f"{len(to_leave_out(twins))} pictures are left out of the training")
        show("read network and pictures", 0, 0)
        path = run(
            config,
            cache=cache,
            finish_now=finish_now,
            account=account,
            on_progress=on_progress,
            on_part=on_part,
            on_validated=lambda done, of: show("validation", done, of),
        )
    say(console, account.now().sentence())
    say(console, f"wrote {path}")
    if finish_now:
        say(console, f"the same command without --finish-now continues the training from {path}.state")


def _tune(console: Console, checkpoint: str, settings: dict[str, Any]) -> None:
    """`--qat`, with defaults of its own."""
    from edge_sdk.terminal.progress import progress_bars, shown_by
    from edge_sdk.terminal.text import say
    from edge_sdk.workbench.qat import LEARNING, tune_checkpoint
    from edge_sdk.workbench.spent import Account

    own = {"epochs": "--epochs", "batch": "--batch", "learning_rate": "--learning-rate"}
    chosen = {name: settings[name] for name, option in own.items() if option in given()}
    account, at = Account(), [0, 0]

    def summary() -> str:
        return f"{at[0]} of {at[1]} steps done; the same command continues" if at[1] else "before the first step"

    with when_stopped(summary), progress_bars(console) as bars:
        show = shown_by(bars)

        def on_progress(what: str, done: int, of: int) -> None:
            if what == LEARNING:
                at[:] = done, of
            show(what, done, of)

        path = tune_checkpoint(
            checkpoint,
            settings["data"],
            settings["out"],
            seed=settings["seed"],
            version=settings["version"],
            account=account,
            on_progress=on_progress,
            **chosen,
        )
    say(console, account.now().sentence())
    say(console, f"wrote {path}: export it with edge-sdk export --checkpoint {path} --data {settings['data']}")
