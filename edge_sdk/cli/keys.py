"""`edge-sdk keys`: certificates for a link of one's own, and the devices' tokens."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edge_sdk.cli.options import FILE, out_option
from edge_sdk.errors import ConfigError
from edge_sdk.terminal.command import need
from edge_sdk.terminal.text import literal

_SERVER = "Name or IP address at which devices reach the server; may be repeated."
_TOKENS = "The server's tokens file."


@click.group()
def keys() -> None:
    """Make certificates and device tokens for the link."""


@keys.command()
@out_option("Folder of all files.", folder=True, default="keys", show_default=True)
@click.option("--server", "servers", multiple=True, metavar="NAME", help=_SERVER)
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Device to certify; may be repeated.")
@click.option("--days", default=825, show_default=True, type=click.IntRange(1, 3650), help="Validity of certificates.")
@click.option("--replace", is_flag=True, help="Replace certificates that exist; the authority is never replaced.")
def make(out: Path, servers: tuple[str, ...], devices: tuple[str, ...], days: int, replace: bool) -> None:
    """Make an authority, a server certificate and device certificates.

    An authority that is in the folder already is used again, so that devices can be added later.
    """
    if not servers and not devices:
        raise ConfigError("expected --server NAME or --device NAME; got neither")
    need("cryptography")
    from edge_sdk.security.certificates import Authority

    authority = Authority(out)
    ca = authority.files
    if authority.is_new:
        _say(f"{ca.key}: signs new devices. Keep it here, or offline; no server and no device needs it.")
        _say(f"{ca.cert}: for the server and all devices.")
    if servers:
        pair = authority.issue_server(servers, days=days, replace=replace)
        _say(f"{pair.cert}, {pair.key}: for the server, valid for {', '.join(servers)}, {days} days:")
        _say(f"  cloud-server --host 0.0.0.0 --tls-cert {pair.cert} --tls-key {pair.key} --client-ca {ca.cert}")
    for device in devices:
        pair = authority.issue_device(device, days=days, replace=replace)
        _say(f"{pair.cert}, {pair.key}: for the device {device}, {days} days; copy them there with {ca.cert}:")
        _say(f"  camera_loop.py --cloud HOST:PORT --ca {ca.cert} --cert {pair.cert} --key {pair.key}")


@keys.command()
@click.argument("device")
@click.option("--tokens", required=True, type=FILE, help=_TOKENS)
@out_option("Write the token here, mode 0600.  [default: print it, once]", required=False)
@click.option("--replace", is_flag=True, help="End the device's present token and make a new one.")
def token(device: str, tokens: Path, out: Path | None, replace: bool) -> None:
    """Make a token for DEVICE; the server's file receives only its hash."""
    from edge_sdk.security.certificates import write_new
    from edge_sdk.security.tokens import add_token, new_token

    secret = new_token()
    if out is None:
        add_token(tokens, device, secret, replace=replace)
        click.echo(secret)
        return
    is_new = not (replace and out.exists())
    fresh = out if is_new else out.with_name(f".{out.name}.{os.getpid()}.new")
    write_new(fresh, f"{secret}\n".encode(), 0o600)  # written before the server knows it, or the old one ends
    try:
        add_token(tokens, device, secret, replace=replace)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    if not is_new:
        write_new(out, fresh.read_bytes(), 0o600, replace=True)
        fresh.unlink()
    _say(f"{out}: the token, for the device alone: camera_loop.py --token-file {out.name}")
    _say(f"{tokens}: its hash, for the server: cloud-server --tokens {tokens}; a running server reads it by itself")


@keys.command()
@click.argument("device")
@click.option("--tokens", required=True, type=FILE, help=_TOKENS)
def revoke(device: str, tokens: Path) -> None:
    """End the token of DEVICE; a running server refuses its next frame."""
    from edge_sdk.security.tokens import read_tokens, remove_token

    sharers = remove_token(tokens, device)
    if sharers:
        _say(
            f"{device} is no longer in {tokens}, but its token is also that of {', '.join(sharers)} and is still let "
            f"in: run `edge-sdk keys revoke {sharers[0]} --tokens {tokens}` too"
        )
    else:
        _say(f"{device} may not call any more")
    for fault in read_tokens(tokens).faults[:5]:
        _say(f"note: {fault}")


def _say(text: str) -> None:
    click.echo(literal(text))
