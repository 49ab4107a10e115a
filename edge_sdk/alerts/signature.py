"""Signatures of webhooks, as Standard Webhooks has them (https://www.standardwebhooks.com, specification 1.0).

The headers `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`, which is "v1," and the
base64 of HMAC-SHA256 over `id.timestamp.body`. A secret is "whsec_" and the base64 of 24 to 64 random bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from edge_sdk.errors import ConfigError

PREFIX = "whsec_"
TOLERANCE_S = 300.0


def new_secret() -> str:
    """A fresh secret of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def read_secret(text: str) -> bytes:
    """The key that a secret stands for.

    Raises:
        ConfigError: it is no secret; the message does not show it.
    """
    try:
        key = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.strip().startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ConfigError(
            'expected a webhook secret as "whsec_" and the base64 of 24 to 64 bytes; got something else: '
            "`edge-sdk alerts secret` makes one"
        )
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed).decode("ascii")


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now_s: float) -> bool:
    """Whether a request is signed with this secret and is recent, for receivers.

    Args:
        secret: as `new_secret` makes it.
        headers: of the request, names in lower case.
        body: of the request.
        now_s: the present, seconds since 1970; a signature older or newer by more than five minutes is refused.

    Raises:
        ConfigError: the secret is none.
    """
    key = read_secret(secret)
    stamp = headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16) or abs(now_s - int(stamp)) > TOLERANCE_S:
        return False
    expected = sign(key, headers.get("webhook-id", ""), int(stamp), body)
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(one.encode(), expected.encode()) for one in given)
