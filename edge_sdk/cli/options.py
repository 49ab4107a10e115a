"""What several commands share: options of one name and meaning, and the reading of their values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_sdk.cli.weights_option import arch_option, with_arch
from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_first_line
from edge_sdk.terminal.text import literal

if TYPE_CHECKING:
    from edge_sdk.images.rendition import Upload

Command = TypeVar("Command", bound=Callable[..., Any])

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
OLD_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
OLD_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

PICTURES = (
    "Pictures: a folder with one folder for each class, a CSV with the columns file and label, or "
    "simulated://trailcam?seed=0&frames=2000."
)
UPLOAD = "SIDE@QUALITY[.webp]"
LABEL_GROUPS = ("animals", "coarse")
_DETECTOR = "Bundle of a detector, asked about photos in which bursts give no region, as on a device that has it."
_BOXES = "MegaDetector's results: the surest box of each photo is its region, in place of bursts."
_GROUP_KEY = "edge_sdk.label_group"


class Option(click.Option):
    """An option that also answers to names of before, which its help leaves out."""

    def __init__(self, *args: Any, old_names: tuple[str, ...] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.old_names = list(old_names)

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser know all names."""
        shown, self.opts = self.opts, [*self.opts, *self.old_names]
        try:
            super().add_to_parser(parser, ctx)
        finally:
            self.opts = shown


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """As `click.option`, with `old_names` too."""
    return click.option(*names, cls=Option, **settings)


def data_option(
    *, required: bool = True, note: str = "", old_names: tuple[str, ...] = ()
) -> Callable[[Command], Command]:
    """`--data`: the pictures to work on."""
    text = f"{note} {PICTURES}".strip()
    return option("--data", required=required, metavar="PICTURES", help=text, old_names=old_names)


def big_option(also: str = "", *, required: bool = True) -> Callable[[Command], Command]:
    """`--big`: the big model, and `--arch` for it."""
    text = f"The big model: a checkpoint or other weights (.pth), a timm name{also}, or trailcam, which ships."
    big = option("--big", required=required, callback=with_arch, help=text)
    return lambda command: big(arch_option()(command))


def served_big(name: str) -> tuple[str, str]:
    """The big model's file or timm name, and what `cloud-server --model` takes for it where that is another name."""
    from cloud_server.model.big import SHIPPED, shipped_models

    return (str(SHIPPED / name / "model.safetensors"), name) if name in shipped_models() else (name, "")


def label_map_option(
    to: str = "label of the bundle", *, old_names: tuple[str, ...] = ()
) -> Callable[[Command], Command]:
    """`--label-map`: from the big model's labels to others, read into a dictionary."""
    text = f'JSON file {{"label of the big model": "{to}", "*": "all others"}}.'
    file = option("--label-map", type=FILE, callback=_read_mapping, help=text, old_names=old_names)
    group = label_group_option(is_eager=True, expose_value=False, callback=_keep_group)
    return lambda command: file(group(command))


def _keep_group(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[_GROUP_KEY] = value


def label_group_option(**settings: Any) -> Callable[[Command], Command]:
    """`--label-group`: ImageNet's classes in a dozen groups."""
    text = "Label map from ImageNet's 1000 classes to a dozen groups: kinds of animals, or animals, vehicles, food, ..."
    return option("--label-group", type=click.Choice(LABEL_GROUPS), help=text, **settings)


def _read_mapping(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> dict[str, str]:
    group = ctx.meta.get(_GROUP_KEY)
    if path is not None and group is not None:
        raise click.UsageError("expected --label-map or --label-group, not both")
    if group is not None:
        from edge_sdk.networks.label_groups import label_group

        return label_group(group)
    if path is None:
        return {}
    from edge_sdk.networks.label_map import read_mapping

    return read_mapping(path)


def pretrained_option() -> Callable[[Command], Command]:
    """`--pretrained`: for models that are named as timm names them."""
    return option("--pretrained", is_flag=True, help="Use timm's pretrained weights for models given by a timm name.")


def bundle_option(*, shipped: bool = False) -> Callable[[Command], Command]:
    """`--bundle`: the little model; with `shipped` also one that ships, and the default."""
    if shipped:
        text = "Bundle folder, or the name of a bundle that ships with the SDK."
        return option("--bundle", default="trailcam", show_default=True, help=text)
    return option("--bundle", required=True, type=OLD_FOLDER, help="Bundle folder of the little model.")


def out_option(text: str, *, folder: bool = False, **settings: Any) -> Callable[[Command], Command]:
    """`--out`: what the command writes; a place that cannot be written is refused before work begins."""
    settings.setdefault("required", "default" not in settings)
    return option("--out", type=FOLDER if folder else FILE, callback=writable, help=text, **settings)


def picture_option(text: str) -> Callable[[Command], Command]:
    """`--picture`: a PNG to draw."""
    return option("--picture", type=FILE, callback=writable, metavar="PNG", help=text)


def cache_option(text: str) -> Callable[[Command], Command]:
    """`--cache`: results that later runs use again."""
    return option("--cache", type=FOLDER, callback=writable, help=text)


def seed_option(text: str = "Seed of all random choices.") -> Callable[[Command], Command]:
    """`--seed`."""
    return option("--seed", default=0, show_default=True, type=int, help=text)


def threads_option(also: str = "") -> Callable[[Command], Command]:
    """`--threads`: CPU threads, read by `edge_sdk.workbench.threads.take_threads`."""
    text = f"CPU threads{also}.  [default: as many as cores are idle, one of them left to others]"
    return option("--threads", type=click.IntRange(1), help=text)


def upload_option(text: str) -> Callable[[Command], Command]:
    """`--upload`: how pictures are encoded on their way to the big model."""
    return option("--upload", callback=parse_upload, metavar=UPLOAD, help=text, old_names=("--as-uploaded",))


def region_upload_option(text: str) -> Callable[[Command], Command]:
    """`--region-upload`: how a region's surroundings are encoded."""
    return option("--region-upload", callback=parse_upload, metavar=UPLOAD, help=text)


def view_option(text: str, **settings: Any) -> Callable[[Command], Command]:
    """`--view`: what of a frame the little model looks at."""
    return option("--view", type=click.Choice(("frame", "region", "both")), help=text, **settings)


def regions_options() -> Callable[[Command], Command]:
    """`--detector` and `--boxes`: what says where something is in photos, beside their bursts."""
    detector = option("--detector", type=OLD_FOLDER, metavar="BUNDLE", help=_DETECTOR)
    boxes = option("--boxes", type=OLD_FILE, metavar="JSON", help=_BOXES)
    return lambda command: detector(boxes(command))


def from_file(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The first line of `@FILE`, so that a secret need not stand on the command line; any other value is as it is."""
    if value is None or not value.startswith("@"):
        return value
    try:
        return read_first_line(Path(os.path.expanduser(value[1:])), "address")
    except ConfigError as error:
        raise click.BadParameter(literal(error)) from None


def writable(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a path that cannot be written: its nearest folder is a file, or is not writable."""
    if path is None:
        return None
    there = next(parent for parent in (path, *path.absolute().parents) if _exists(parent))
    if there != path and not there.is_dir():
        raise click.BadParameter(f"cannot write {literal(path)}: {literal(there)} is not a folder")
    if not os.access(there, os.W_OK):
        raise click.BadParameter(f"cannot write {literal(path)}: no permission to write {literal(there)}")
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a part of the name is too long
        return False


def parse_size(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Read WIDTHxHEIGHT, in pixels."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text, re.ASCII)
    if match is None or 0 in (int(match[1]), int(match[2])):
        raise click.BadParameter(f"expected WIDTHxHEIGHT, such as 128x96; got {text!r}")
    return int(match[1]), int(match[2])


def parse_upload(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Upload | None:
    """Read SIDE@QUALITY or SIDE@QUALITY.webp."""
    if text is None:
        return None
    from edge_sdk.images.rendition import Upload

    match = re.fullmatch(r"(\d{2,5})@(\d{1,3})(?:\.(jpeg|webp))?", text, re.ASCII)
    if match is None or not 1 <= int(match[2]) <= 100 or int(match[1]) < 16:
        raise click.BadParameter(f"expected LONGER_SIDE@QUALITY, such as 640@85 or 640@85.webp; got {text!r}")
    return Upload(int(match[1]), int(match[2]), "webp" if match[3] == "webp" else "jpeg")


def parse_bytes(ctx: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Read a number of bytes such as 38MB."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMG]?)B?", text, re.ASCII)
    if match is None:
        raise click.BadParameter(f"expected bytes such as 38MB; got {text!r}")
    return float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]]


def parse_macs(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, int]:
    """Read NAME=MACS, repeated, such as little=0.4G."""
    found = {}
    for text in texts:
        match = re.fullmatch(r"(.+)=(\d+(?:\.\d+)?(?:e\d+)?)([kMGT]?)", text, re.ASCII)
        if match is None or float(match[2]) == 0:
            raise click.BadParameter(f"expected NAME=MACS per picture, such as little=0.4G; got {text!r}")
        found[match[1]] = round(float(match[2]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[match[3]])
    return found


def check_names(macs: dict[str, int], names: Sequence[str]) -> None:
    """Check that each model of `--macs` is one of these.

    Raises:
        click.UsageError: one is not.
    """
    for name in macs:
        if name not in names:
            raise click.UsageError(f"--macs {name}=...: expected a model among {', '.join(names)}")


def parse_name_values(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    """Read NAME=VALUE, repeated; a value that is JSON is read as JSON, others are text."""
    import json

    options: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"expected NAME=VALUE; got {text!r}")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options
