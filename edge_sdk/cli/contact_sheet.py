"""`edge-sdk contact-sheet`: what the simulated camera can show."""

from __future__ import annotations

from pathlib import Path

import click

from edge_sdk.cli.options import out_option, seed_option
from edge_sdk.terminal.text import literal


@click.command("contact-sheet")
@out_option("Picture to write.", default="contact-sheet.png", show_default=True)
@seed_option("Seed of the simulated camera.")
def contact_sheet(out: Path, seed: int) -> None:
    """Draw the simulated camera's classes, lights and weathers on one sheet."""
    import cv2

    from edge_sdk.camera import simulated
    from edge_sdk.errors import ConfigError

    if not cv2.haveImageWriter(out.name):
        raise ConfigError(f"expected a picture to write, such as sheet.png or sheet.jpg; got {out}")
    sheet = simulated.contact_sheet(rows=6, columns=7, seed=seed)
    _, encoded = cv2.imencode(out.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(encoded.tobytes())
    click.echo(literal(out))
