"""The address of a camera: a scheme, a target and options."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from pathlib import Path
from urllib.parse import parse_qsl

from edge_sdk.camera.plugins import plugin_schemes
from edge_sdk.camera.stream_address import FORM, STREAM_SCHEMES, StreamAddress
from edge_sdk.errors import ConfigError
from edge_sdk.redaction import without_secrets

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_ALMOST = re.compile(rf"\s*({'|'.join(STREAM_SCHEMES)})(?::|/|\\)", re.IGNORECASE)
_DEVICE = re.compile(r"(?:/dev/video)?(\d{1,3})", re.ASCII)
_DURATION = re.compile(r"\s*([+-]?)\s*(\d{1,9}(?:\.\d{1,6})?)\s*(s|min|h|d|)")
_LONGEST_S = 100 * 366 * 86_400
_UNITS_S = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86_400}
_NAMED_DEVICE = re.compile(r"/dev/v4l/.+")
_TRUE, _FALSE = ("1", "yes", "true"), ("0", "no", "false")


@dataclass(frozen=True, slots=True)
class Address:
    """Where frames come from.

    Attributes:
        scheme: `simulated`, `picamera2`, `device`, `path`, one of `STREAM_SCHEMES`, or that of another package.
        target: the device's number or name (`/dev/v4l/...`), the path, or the whole URL.
        options: what stood behind the `?`; empty for streams, the simulated camera and other packages' cameras, whose
            URL keeps its own.
    """

    scheme: str
    target: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Address({self.scheme!r}, {without_secrets(self.target)!r}, {self.options!r})"

    def check_options(self, *known: str) -> None:
        """Raise `ConfigError` for an option that is not among `known`."""
        unknown = sorted(set(self.options) - set(known))
        if unknown:
            expected = ", ".join(known) if known else "no options"
            raise ConfigError(
                f"unknown camera option {', '.join(unknown)} for {without_secrets(self.target)}: expected {expected}"
            )

    def size(self, name: str = "size") -> tuple[int, int] | None:
        """The option `size=WIDTHxHEIGHT` in pixels, or another of this kind; None where it is absent."""
        text = self.options.get(name)
        if text is None:
            return None
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII)
        if match is None or 0 in (int(match[1]), int(match[2])):
            raise ConfigError(f"expected {name} as WIDTHxHEIGHT, such as 640x480; got {text!r}")
        return int(match[1]), int(match[2])

    def number(self, name: str, default: int = 0) -> int:
        """The option `name` as a whole number from 0; `default` where it is absent."""
        text = self.options.get(name, str(default))
        if not (text.isascii() and text.isdecimal()):
            raise ConfigError(f"expected {name} as a whole number from 0; got {text!r}")
        return int(text)

    def flag(self, name: str) -> bool:
        """The option `name` as yes or no; no where it is absent."""
        text = self.options.get(name, "no").lower()
        if text not in _TRUE + _FALSE:
            raise ConfigError(f"expected {name}=yes or {name}=no; got {name}={text}")
        return text in _TRUE

    def zone(self) -> tzinfo | None:
        """The option `zone`: that of the camera's clock; None: the local zone of this machine."""
        from edge_sdk.images.capture_time import parse_zone

        text = self.options.get("zone", "local")
        # A "+" in an address reads as a blank.
        return parse_zone(re.sub(r"^(UTC|GMT|) (?=\d)", r"\1+", text, flags=re.IGNORECASE))

    def duration(self, name: str) -> timedelta:
        """The option `name` as a time such as `+3600s`, `-1h` or `90min`; 0 where it is absent."""
        text = self.options.get(name, "0")
        match = _DURATION.fullmatch(text)
        if match is None or float(match[2]) * _UNITS_S[match[3]] > _LONGEST_S:
            raise ConfigError(f"expected {name} as a time such as +3600s, -1h, 90min or 2d; got {text!r}")
        seconds = float(match[2]) * _UNITS_S[match[3]]
        return timedelta(seconds=-seconds if match[1] == "-" else seconds)


def parse_address(url: str | int | Path) -> Address:
    """Read a camera's address.

    Args:
        url: as in `open_camera`. A `Path`, and a text that names an existing file or folder, is taken literally, even
            with a `?` in it.

    Raises:
        ConfigError: nothing of a kind that can be opened.
    """
    if isinstance(url, bool) or not isinstance(url, str | int | Path) or url == "":
        raise ConfigError(f"expected a camera address: a text, a path or a device number; got {url!r}")
    if isinstance(url, int):
        if url < 0:
            raise ConfigError(f"expected a device number from 0; got {url}")
        return Address("device", str(url))
    if isinstance(url, Path):
        if (match := _DEVICE.fullmatch(str(url))) and url.is_absolute():
            return Address("device", match[1])
        return Address("device" if _is_named_device(str(url)) else "path", str(url))
    if match := _SCHEME.match(url):
        scheme = match[1].lower()
        if scheme in STREAM_SCHEMES:
            StreamAddress.parse(url)  # refuses what is malformed
            return Address(scheme, url)
        if scheme == "simulated":
            return Address(scheme, url)
        if scheme == "picamera2":
            return Address(scheme, "picamera2", _options(url[match.end() :].partition("?")[2]))
        if scheme in (others := plugin_schemes()):
            return Address(scheme, url)
        known = ", ".join(f"{name}://" for name in ("simulated", "picamera2", *STREAM_SCHEMES, *others))
        raise ConfigError(f"expected {known}, a path, or a device number; got {without_secrets(url)}")
    if (match := _ALMOST.match(url)) and not os.path.exists(url):
        raise ConfigError(f"expected a camera's address such as {FORM}; got {match[1]}: without the two slashes ://")
    target, _, query = url.partition("?")
    if target == "picamera2":
        return Address("picamera2", target, _options(query))
    if match := _DEVICE.fullmatch(target):
        return Address("device", match[1], _options(query))
    if _is_named_device(target):
        return Address("device", target, _options(query))
    if not query or os.path.exists(url):
        return Address("path", url)
    return Address("path", target, _options(query))


def _is_named_device(target: str) -> bool:
    """Whether it is a name below /dev/v4l, or a link that udev made to a camera, such as /dev/door-camera."""
    if _NAMED_DEVICE.fullmatch(target):
        return True
    return target.startswith("/dev/") and _DEVICE.fullmatch(os.path.realpath(target)) is not None


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, strict_parsing=True) if query else []
    except ValueError:
        raise ConfigError(
            f"expected camera options as name=value&name=value; got {without_secrets('?' + query)!r}"
        ) from None
    return dict(pairs)
