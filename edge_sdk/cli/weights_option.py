"""Options that name a file of weights: the file, and the architecture that it may not say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_sdk.terminal.text import literal

Command = TypeVar("Command", bound=Callable[..., Any])

ARCH = "timm name of a file of weights that does not say its architecture; ARCH=FILE says it too."
_ARCH_KEY = "edge_sdk.arch"


if TYPE_CHECKING:
    _Text = click.ParamType[str]
else:
    _Text = click.ParamType  # click 8.1's is not generic


class WeightsFile(_Text):
    """A file of weights that exists; with its architecture before it, ARCH=FILE, where it does not say it."""

    name = "file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The value, where there is such a file."""
        from edge_sdk.networks.model_name import split_name

        if not Path(split_name(value)[1]).is_file():
            self.fail(f"expected a file of weights, or ARCH=FILE; there is no file {literal(value)}", param, ctx)
        return value


def arch_option() -> Callable[[Command], Command]:
    """`--arch`: joined to the model's file by `with_arch`; the command does not see it."""
    return click.option("--arch", is_eager=True, expose_value=False, callback=_keep_arch, metavar="NAME", help=ARCH)


def with_arch(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Callback of a model's option: its name with what `--arch` says."""
    arch = ctx.meta.get(_ARCH_KEY)
    if value is None or arch is None:
        return value
    from edge_sdk.networks.model_name import name_with

    try:
        return name_with(arch, value)
    except ValueError as error:
        raise click.UsageError(f"--arch: {error}") from error


def _keep_arch(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[_ARCH_KEY] = value


def model_or_checkpoint(model: str | None, checkpoint: str | None) -> str:
    """What `--model` and `--checkpoint` name together.

    Raises:
        click.UsageError: neither is given, or both are files.
    """
    from edge_sdk.networks.model_name import name_with

    if checkpoint is None:
        if model is None:
            raise click.UsageError("expected --model or --checkpoint")
        return model
    try:
        return name_with(model, checkpoint)
    except ValueError as error:
        raise click.UsageError(f"--model and --checkpoint: {error}") from error
