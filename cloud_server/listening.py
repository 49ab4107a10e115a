"""Where the server listens: hosts as operators write them, why a port cannot be had, how many sockets there may be."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import resource
import socket
from collections.abc import Callable
from contextlib import suppress

from edge_sdk.errors import ConfigError
from edge_sdk.security.place import authority

_log = logging.getLogger(__name__)

_MOST_DESCRIPTORS = 1 << 20
_OWN_DESCRIPTORS = 128
"""Descriptors of the process itself: libraries, the reply cache, the archive, the log."""
_EVERY_V4 = "0.0.0.0"
_ALSO = {"localhost": ("127.0.0.1", "::1")}
_ELSEWHERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def bare_host(host: str) -> str:
    """The host without brackets, spaces around it removed.

    Raises:
        ConfigError: it is empty, or has a port.
    """
    text = host.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    with suppress(ValueError):
        ipaddress.ip_address(text)
        return text
    if not text or ":" in text or "/" in text or not text.isprintable():
        raise ConfigError(
            f"expected a host name or an address to listen on, such as 0.0.0.0 or ::, without a port; got {host!r}"
        )
    return text


def meet(host: str, other: str) -> bool:
    """Whether two hosts, as they are written, have an address in common, so that one port on both is one port.

    Names are not looked up, but for "localhost".
    """
    mine, theirs = ({bare_host(one), *_ALSO.get(bare_host(one), ())} for one in (host, other))
    if mine & theirs or "::" in mine | theirs:  # which takes IPv4 too
        return True
    return any(
        _EVERY_V4 in one and not all(":" in host for host in rest) for one, rest in ((mine, theirs), (theirs, mine))
    )


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses that a host has, IPv4 first, each once; an address has itself.

    Raises:
        ConfigError: the name has none.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "it is no name"
            raise ConfigError(f"cannot listen on {authority(host, port)}: no address has this name ({why})") from error
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return [host]


def listen(host: str, port: int, take: Callable[[str], int]) -> int:
    """Take the port on each address that the host has on this machine.

    Args:
        host: a name or an address, without brackets.
        port: 0: one that is free.
        take: listens on "address:port"; returns the port, 0 or `RuntimeError` where that fails.

    Returns:
        The port.

    Raises:
        ConfigError: the port cannot be had; the message says why.
    """
    taken, failed = port, 0
    addresses = addresses_of(host, port)
    done = False
    for address in addresses:
        try:
            got = take(authority(address, taken))
        except RuntimeError:
            got = 0
        if got:
            taken, done = got, True
            continue
        failed = why_not(address, taken)
        if failed not in _ELSEWHERE or len(addresses) == 1:
            raise ConfigError(f"cannot listen on {authority(host, port)}: {_reason(failed, port)}")
    if not done:
        raise ConfigError(f"cannot listen on {authority(host, port)}: {_reason(failed, port)}")
    return taken


def why_not(address: str, port: int) -> int:
    """The error number with which the system refuses to listen there; 0 where it does not."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(socket.getaddrinfo(address, port, family, socket.SOCK_STREAM)[0][4])
            probe.listen()
    except socket.gaierror:
        return errno.EADDRNOTAVAIL
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def explain(host: str, port: int, error: OSError) -> ConfigError:
    """The error of a socket that cannot listen, in words."""
    return ConfigError(f"cannot listen on {authority(host, port)}: {_reason(error.errno or 0, port)}")


def _reason(number: int, port: int) -> str:
    if number == errno.EADDRINUSE:
        return f"the port is taken: another program has it (`ss -ltnp sport = :{port}` names it)"
    if number == errno.EADDRNOTAVAIL:
        return "the host is not this machine's: name one of its addresses (`ip addr`), 0.0.0.0 or ::"
    if number == errno.EAFNOSUPPORT:
        return "this machine has no IPv6: listen on 0.0.0.0"
    if number == errno.EACCES:
        return "ports below 1024 are root's: take a higher one, or give the service CAP_NET_BIND_SERVICE"
    return os.strerror(number) if number else "the system gives no reason"


def raise_descriptor_limit(streams: int) -> None:
    """Raise the limit on open descriptors as far as the system allows, and warn where `streams` need more.

    Each device's connection takes one; without them new connections wait unanswered.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = resource.RLIM_INFINITY
    most = _MOST_DESCRIPTORS if hard == infinite else min(hard, _MOST_DESCRIPTORS)
    if soft != infinite and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
        except (OSError, ValueError) as error:
            _log.warning("the limit on open descriptors stays at %d: %s", soft, error)
    if soft != infinite and soft < streams + _OWN_DESCRIPTORS:
        _log.warning(
            "the system allows %d open descriptors, enough for about %d devices at once; --max-streams is %d: raise it "
            "(LimitNOFILE= of systemd, `ulimit -n`), or lower --max-streams",
            soft,
            max(0, soft - _OWN_DESCRIPTORS),
            streams,
        )


def warn_if_descriptors_run_out() -> None:
    """Warn where fewer than a tenth of the descriptors are left (Linux)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        return
    if soft != resource.RLIM_INFINITY and used > 0.9 * soft:
        _log.warning("%d of %d descriptors are open: new connections may be left unanswered", used, soft)
