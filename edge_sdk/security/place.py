"""Where something on the network is: a host and a port in text that a person has written, read strictly.

What no name can be (a blank, an empty label, a number that is no address) is refused here, with a reason, and not by
a resolver years later.
"""

from __future__ import annotations

import ipaddress
import re

_NAME = re.compile(r"[\w.-]+")
_LONGEST_NAME = 253
_PORT = re.compile(r"\d{1,5}", re.ASCII)


def read_host(text: str) -> str:
    """A host without brackets: a name, an IPv4 address, or an IPv6 address in brackets.

    Raises:
        ValueError: it is none of these; the message is why, and shows nothing of the text.
    """
    if text.startswith("[") and text.endswith("]"):
        try:
            ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            raise ValueError("brackets that hold no IPv6 address") from None
        return text[1:-1]
    if not text:
        raise ValueError("no host")
    if not _NAME.fullmatch(text):
        raise ValueError("a host with a blank in it" if " " in text else "a host with signs that no name has")
    labels = text.removesuffix(".").split(".")
    if labels[-1].isdecimal():
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            raise ValueError("a host of numbers that is no IPv4 address") from None
    try:
        length = len(text.encode("idna"))
    except UnicodeError:
        length = _LONGEST_NAME + 1
    if length > _LONGEST_NAME or any(not label or label[0] == "-" or label[-1] == "-" for label in labels):
        raise ValueError("a host with a part that is empty, too long, or begins or ends with -")
    return text


def in_url(host: str) -> str:
    """A host as it stands in a URL or before a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def authority(host: str, port: int) -> str:
    """The form "host:port", as `read_place` takes it."""
    return f"{in_url(host)}:{port}"


def read_place(text: str, port: int | None = None) -> tuple[str, int]:
    """Host, without brackets, and port of `host:port`.

    Args:
        text: what was written.
        port: where none is written; None: one must be.

    Raises:
        ValueError: as `read_host`, or the port is none.
    """
    host, colon, written = text.rpartition(":")
    if not colon or (text.startswith("[") and text.endswith("]")):
        if port is None:
            raise ValueError("no port")
        return read_host(text), port
    if not _PORT.fullmatch(written) or not 1 <= int(written) <= 65535:
        raise ValueError("a port that is no number from 1 to 65535")
    if ":" in host and not host.startswith("["):
        raise ValueError("an IPv6 address without brackets, or two colons")
    return read_host(host), int(written)
