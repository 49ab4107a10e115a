"""`edge-sdk contact-sheet`: what the simulated camera can show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.options import out_option, seed_option
from edge_sdk.terminal.text import literal

if TYPE_CHECKING:
    from edge_sdk.types import Image


@click.command("contact-sheet")
@out_option("Picture to write.", default="contact-sheet.png", show_default=True)
@seed_option("Seed of the simulated camera.")
def contact_sheet(out: Path, seed: int) -> None:
    """Draw the simulated camera's classes, lights and weathers on one sheet."""
    from edge_sdk.camera import simulated

    write_sheet(out, lambda: simulated.contact_sheet(rows=6, columns=7, seed=seed))


def write_sheet(out: Path, draw: Callable[[], Image]) -> None:
    """Draw a sheet, write it and say where it is.

    Raises:
        ConfigError: `out` is not named as a picture; nothing is drawn.
    """
    import cv2

    from edge_sdk.errors import ConfigError

    if not cv2.haveImageWriter(out.name):
        raise ConfigError(f"expected a picture to write, such as sheet.png or sheet.jpg; got {out}")
    _, encoded = cv2.imencode(out.suffix, cv2.cvtColor(draw(), cv2.COLOR_RGB2BGR))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(encoded.tobytes())
    click.echo(literal(out))
