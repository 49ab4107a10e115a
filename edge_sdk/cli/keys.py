"""`edge-sdk keys`: certificates for a link of one's own, and the devices' tokens."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority, write_new
from edge_sdk.security.tokens import add_token, new_token, remove_token

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_SERVER = "A name or IP address by which devices dial the server; give it again for more."
_DAYS = "How long server and device certificates are valid."
_TOKENS = "The server's tokens file."


@click.group()
def keys() -> None:
    """Make certificates and device tokens for the link."""


@keys.command()
@click.option("--out", "folder", default="keys", show_default=True, type=_FOLDER, help="Folder of all files.")
@click.option("--server", "servers", multiple=True, help=_SERVER)
@click.option("--device", "devices", multiple=True, help="A device that gets a certificate; give it again for more.")
@click.option("--days", default=825, show_default=True, type=click.IntRange(1, 3650), help=_DAYS)
@click.option("--replace", is_flag=True, help="Make certificates anew that are there; never the authority.")
def make(folder: Path, servers: tuple[str, ...], devices: tuple[str, ...], days: int, replace: bool) -> None:
    """Make a development authority, a server certificate and device certificates.

    An authority that is in the folder is used again: so a device is added later.
    """
    if not servers and not devices:
        raise ConfigError("expected --server NAME or --device NAME; got neither")
    if importlib.util.find_spec("cryptography") is None:
        raise ConfigError("expected the package cryptography; it is missing: pip install '.[keys]'")
    authority = Authority(folder)
    ca = authority.files
    if authority.is_new:
        click.echo(f"{ca.key}: signs new devices. Keep it here, or offline; no server and no device needs it.")
        click.echo(f"{ca.cert}: for the server and all devices.")
    if servers:
        pair = authority.issue_server(servers, days=days, replace=replace)
        click.echo(f"{pair.cert}, {pair.key}: for the server, valid for {', '.join(servers)}, {days} days:")
        click.echo(f"  cloud-server --host 0.0.0.0 --tls-cert {pair.cert} --tls-key {pair.key} --client-ca {ca.cert}")
    for device in devices:
        pair = authority.issue_device(device, days=days, replace=replace)
        click.echo(f"{pair.cert}, {pair.key}: for the device {device}, {days} days; copy them there with {ca.cert}:")
        click.echo(f"  camera_loop.py --cloud HOST:PORT --ca {ca.cert} --cert {pair.cert} --key {pair.key}")


@keys.command()
@click.argument("device")
@click.option("--tokens", required=True, type=_FILE, help=_TOKENS)
@click.option("--out", type=_FILE, help="Write the token here, mode 0600.  [default: print it, once]")
@click.option("--replace", is_flag=True, help="End the device's token, and make a new one.")
def token(device: str, tokens: Path, out: Path | None, replace: bool) -> None:
    """Make a token for DEVICE; the server's file gets its hash alone."""
    secret = new_token()
    if out is not None and out.exists() and not replace:
        raise ConfigError(f"expected no file {out} yet: --replace makes a new one in its place")
    add_token(tokens, device, secret, replace=replace)
    if out is None:
        click.echo(secret)
        return
    write_new(out, f"{secret}\n".encode(), 0o600, replace=replace)
    click.echo(f"{out}: the token, for the device alone: camera_loop.py --token-file {out.name}")
    click.echo(f"{tokens}: its hash, for the server: cloud-server --tokens {tokens}; a running one reads it by itself")


@keys.command()
@click.argument("device")
@click.option("--tokens", required=True, type=_FILE, help=_TOKENS)
def revoke(device: str, tokens: Path) -> None:
    """End the token of DEVICE; a running server refuses its next frame."""
    remove_token(tokens, device)
    click.echo(f"{device} may not call any more")
