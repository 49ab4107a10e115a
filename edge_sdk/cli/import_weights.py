"""`edge-sdk import`: anybody's weights as a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.cli.options import OLD_FILE, out_option, parse_name_values, parse_size
from edge_sdk.terminal.command import need

if TYPE_CHECKING:
    from edge_sdk.networks.foreign import Imported
    from edge_sdk.terminal.tables import Rows

_ARCH = "timm name of the architecture.  [default: as the file says, else the one that its tensors fit]"
_LABELS = "Class names: one a line, JSON or CSV.  [default: the file's own, or ImageNet's for 1000 classes]"
_PART = "Part of the file that holds the network.  [default: averaged weights (EMA) before others]"
_RESIZE = "How pictures are brought to the input's size."
_TRIPLE = "R,G,B"
_MOST = 12  # rows of the table of names, from its beginning and its end


def _triple(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, float, float] | None:
    """Read three numbers with commas between them, or one for all."""
    if text is None:
        return None
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 3) or not all(-1000 < value < 1000 for value in values):
        raise click.BadParameter(f"expected three numbers such as 0.485,0.456,0.406, or one; got {text!r}")
    if parameter.name == "std" and min(values) <= 0:
        raise click.BadParameter(f"expected numbers above 0; got {text!r}")
    if max(map(abs, values)) > 2:
        raise click.BadParameter(f"expected numbers for pixels in 0..1 (divide those for 0..255 by 255); got {text!r}")
    red, green, blue = values * (3 // len(values))
    return red, green, blue


@click.command("import")
@click.option("--weights", required=True, type=OLD_FILE, help="The file: .pth, .pt, .bin or .safetensors.")
@click.option("--arch", default="", metavar="NAME", help=_ARCH)
@click.option("--labels", type=OLD_FILE, help=_LABELS)
@click.option("--size", callback=parse_size, metavar="WxH", help="Input size.  [default: the model's own]")
@click.option("--mean", callback=_triple, metavar=_TRIPLE, help="Mean of the normalisation, for pixels in 0..1.")
@click.option("--std", callback=_triple, metavar=_TRIPLE, help="Standard deviation of the normalisation, likewise.")
@click.option(
    "--resize", type=click.Choice(["crop", "stretch", "letterbox"]), default="crop", show_default=True, help=_RESIZE
)
@click.option("--part", help=_PART)
@click.option(
    "--model-option", multiple=True, callback=parse_name_values, metavar="NAME=VALUE", help="For timm's create_model."
)
@out_option(".safetensors checkpoint to write.")
def import_(
    weights: Path,
    arch: str,
    labels: Path | None,
    model_option: dict[str, Any],
    resize: Any,
    out: Path,
    **settings: Any,
) -> None:
    """Make a checkpoint of weights that another program wrote; all other commands take it.

    The file may nest the weights (state_dict, model, ema) and put prefixes before their names. Names of other libraries
    are matched by timm's own converters, or by order and shape, and shown; names of torchvision are compared with
    torchvision by what both compute. Nothing is loaded in part, and no code of the file is run.
    """
    need("torch", "timm", "safetensors")
    import msgspec

    from edge_sdk.networks.checkpoint import is_checkpoint, save_checkpoint
    from edge_sdk.networks.foreign import import_weights
    from edge_sdk.networks.labels import read_labels
    from edge_sdk.terminal.text import open_console, say

    if out.suffix != ".safetensors":
        raise click.UsageError(f"expected --out FILE.safetensors; got {out}")
    if is_checkpoint(weights):
        raise click.UsageError(f"{weights} is a checkpoint already: every other command takes it as it is")
    console = open_console()
    names = None if labels is None else read_labels(labels)
    found = import_weights(weights, arch=arch, labels=names, options=model_option, **settings)
    spec = msgspec.structs.replace(found.info.input, resize=resize)
    info = msgspec.structs.replace(found.info, input=spec)
    if found.part:
        rest = f"; it also has {', '.join(found.others)} (--part takes another)" if found.others else ""
        say(console, f"read {found.part} of {weights}{rest}")
    if found.fitted.pairs:
        console.print(names_table(found, weights.name))
    if found.fitted.how == "order":
        say(
            console,
            "The names are another library's: matched by order and shape. Compare its answers on your pictures.",
        )
    if left_out := [name for name in found.fitted.left_out if "num_batches_tracked" not in name]:
        say(
            console,
            f"left out, which {info.arch} does not use: {', '.join(left_out[:8])}{' ...' * (len(left_out) > 8)}",
        )
    for note in found.notes:
        say(console, note)
    if not found.has_names:
        say(console, "No names of the classes: --labels FILE gives them.")
    path = save_checkpoint(out, found.module, info)
    size = f"{info.parameters / 1e6:.2f} M weights, {info.macs / 1e6:.1f} MMAC at {spec.width}x{spec.height}"
    say(console, f"wrote {path}: {info.arch}, {len(info.labels)} classes, {size}")


def names_table(found: Imported, file: str) -> Rows:
    """Names in the file beside the network's, from the beginning and the end."""
    from edge_sdk.terminal.tables import Rows

    pairs = found.fitted.pairs
    table = Rows(f"{len(pairs)} tensors, matched by {found.fitted.how}", (f"in {file}", found.info.arch, "shape"))
    state = found.fitted.state
    shown = pairs if len(pairs) <= _MOST else (*pairs[: _MOST // 2], None, *pairs[-_MOST // 2 :])
    for pair in shown:
        if pair is None:
            table.add("...", "...", "...")
        else:
            table.add(*pair, "x".join(map(str, state[pair[1]].shape)) or "1")
    return table
