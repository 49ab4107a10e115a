"""Who asks: the Authorization header of HTTP, basic (RFC 7617) and digest (RFC 7616)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

_SCHEMES = re.compile(r"(?:^|,)\s*(basic|digest)\b", re.IGNORECASE)
_PARAMETER = re.compile(r'([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_HASHES = {"MD5": "md5", "SHA": "sha1", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


@dataclass
class Authorization:
    """Answers a camera's challenges; the last one is remembered, so that later requests need no second try.

    Attributes:
        user: the user name.
        password: the password.
    """

    user: str = field(repr=False)
    password: str = field(repr=False)
    _scheme: str = field(default="", repr=False)
    _challenge: dict[str, str] = field(default_factory=dict, repr=False)
    _count: int = field(default=0, repr=False)
    _has_worked: bool = field(default=False, repr=False)

    def take(self, headers: Iterable[str]) -> bool:
        """Read the `WWW-Authenticate` headers of a refusal; whether it is worth another try.

        Digest goes before basic: it does not send the password. A digest that was refused is tried again only where
        the camera says that its nonce had expired, or where it has worked before.
        """
        offered: dict[str, list[dict[str, str]]] = {}
        for header in headers:
            parts = _SCHEMES.split(header)[1:]
            for scheme, rest in zip(parts[::2], parts[1::2], strict=True):
                found = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
                offered.setdefault(scheme.lower(), []).append(found)
        was, has_worked = self._scheme, self._has_worked
        self._has_worked = False
        for challenge in offered.get("digest", []):
            if {"realm", "nonce"} <= challenge.keys() and _hash_of(challenge) and _offers_auth(challenge):
                self._scheme, self._challenge, self._count = "digest", challenge, 0
                return was != "digest" or has_worked or challenge.get("stale", "").lower() == "true"
        if "basic" in offered:
            self._scheme = "basic"
            return was != "basic"
        return False

    def accepted(self) -> None:
        """Note that the last header was good."""
        self._has_worked = bool(self._scheme)

    def header(self, method: str, target: str) -> str | None:
        """The header for one request; None before the first challenge."""
        if self._scheme == "basic":
            pair = f"{self.user}:{self.password}".encode("utf-8", "surrogateescape")
            return f"Basic {base64.b64encode(pair).decode()}"
        return self._digest(method, target) if self._scheme == "digest" else None

    def _digest(self, method: str, target: str) -> str:
        asked = self._challenge
        name = _hash_of(asked)

        def digest(*parts: str) -> str:
            text = ":".join(parts).encode("utf-8", "surrogateescape")
            return hashlib.new(name, text, usedforsecurity=False).hexdigest()

        self._count += 1
        count, own = f"{self._count:08x}", secrets.token_hex(8)
        who = digest(self.user, asked["realm"], self.password)
        if asked.get("algorithm", "").lower().endswith("-sess"):
            who = digest(who, asked["nonce"], own)
        what = digest(method, target)
        parts = [asked["nonce"], count, own, "auth", what] if "qop" in asked else [asked["nonce"], what]
        fields = [
            f'username="{_quoted(self.user)}"',
            f'realm="{asked["realm"]}"',
            f'nonce="{asked["nonce"]}"',
            f'uri="{target}"',
            f'response="{digest(who, *parts)}"',
        ]
        fields += [f"algorithm={asked['algorithm']}"] if "algorithm" in asked else []
        fields += [f'opaque="{asked["opaque"]}"'] if "opaque" in asked else []
        fields += [f"qop=auth, nc={count}", f'cnonce="{own}"'] if "qop" in asked else []
        return "Digest " + ", ".join(fields)


def _hash_of(challenge: dict[str, str]) -> str:
    """The hash's name in hashlib; empty where it is unknown."""
    return _HASHES.get(challenge.get("algorithm", "MD5").upper().removesuffix("-SESS"), "")


def _offers_auth(challenge: dict[str, str]) -> bool:
    return "qop" not in challenge or "auth" in re.split(r"[\s,]+", challenge["qop"].lower())


def _quoted(text: str) -> str:
    """For a header: latin-1 as HTTP has it, the rest as UTF-8 bytes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return escaped.encode("utf-8", "surrogateescape").decode("latin-1")
