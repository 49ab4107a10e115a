"""Which options were given on the command line, and those that contradict one another."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.core import ParameterSource

_DEFAULTS = (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def given() -> frozenset[str]:
    """The options of this call, by their shown names (`--data`), without those that have their default."""
    context = click.get_current_context()
    return frozenset(
        parameter.opts[0]
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        and parameter.name is not None
        and context.get_parameter_source(parameter.name) not in _DEFAULTS
    )


def refuse_together(*pairs: tuple[str, str, str]) -> None:
    """Refuse options that contradict one another.

    Args:
        pairs: two options, and why they cannot both be.

    Raises:
        click.UsageError: both of a pair were given.
    """
    there = given()
    for one, other, why in pairs:
        if one in there and other in there:
            raise click.UsageError(f"expected {one} or {other}, not both: {why}")


def refuse_without(*pairs: tuple[str, str, str]) -> None:
    """Refuse options that mean nothing without another.

    Args:
        pairs: an option, the one that it needs, and why.

    Raises:
        click.UsageError: the first of a pair was given and the second was not.
    """
    there = given()
    for one, needed, why in pairs:
        if one in there and needed not in there:
            raise click.UsageError(f"expected {needed} with {one}: {why}")


def refuse_pretrained(names: Iterable[str], pretrained: bool) -> None:
    """Refuse `--pretrained` where no model is given by a timm name.

    Raises:
        click.UsageError: there are names, and all are files or folders.
    """
    named = list(names)
    if pretrained and named and all(_is_path(name) for name in named):
        raise click.UsageError(
            f"expected a timm name with --pretrained; {', '.join(named)} {'have' if len(named) > 1 else 'has'} weights "
            "of its own: leave --pretrained out"
        )


def _is_path(name: str) -> bool:
    from edge_sdk.model.bundle import shipped_bundles
    from edge_sdk.networks.model_name import is_file_name

    return is_file_name(name) or name in shipped_bundles()
