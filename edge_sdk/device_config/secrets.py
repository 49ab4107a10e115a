"""Secrets do not stand in the config file, which others read and copy: it names the files that hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edge_sdk.redaction import without_secrets

_SECRET_NAME = re.compile(r"token|passw|pwd|secret|api_?key|credential|private_key", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9_+=-]{32,512}|whsec_.+")
_LOGIN = re.compile(r"(?:^|//)[^/?#@\s]*:[^/?#@\s]+@|[?&;](?:p|pass|passwd|password|pwd|token|secret|api_?key)=", re.I)
_FILES: Mapping[tuple[str, str], str] = {
    ("camera", "address"): "camera.address_file",
    ("cloud", "proxy"): "cloud.proxy_file",
    ("alerts", "mqtt"): "alerts.mqtt_file",
    ("alerts", "webhook"): "alerts.webhook_file",
}
_HOMES: Mapping[str, str] = {
    "security": "security.token_file",
    "cloud": "security.token_file",
    "alerts": "alerts.webhook_secret_file",
    "camera": "camera.address_file",
    "preview": "preview.token_file",
}


def secret_fault(section: str, name: str, value: object, *, known: bool, is_path: bool) -> str:
    """What to do where a secret stands in the file; "" where none does. The text never repeats it.

    Args:
        section: of the key.
        name: of the key.
        value: what came.
        known: whether there is such a key.
        is_path: whether it names a file.
    """
    if not known:
        if _SECRET_NAME.search(name) and isinstance(value, str):
            return _move("the secret", _HOMES.get(section, "security.token_file"))
        return ""
    if not isinstance(value, str):
        return ""
    if is_path and (value.lstrip().startswith("-----BEGIN") or _TOKEN.fullmatch(value)):
        return _move("the secret itself", f"{section}.{name}")
    if (section, name) in _FILES and _LOGIN.search(value):
        return _move("the address with its password", _FILES[section, name])
    return ""


def public(section: str, name: str, value: Any) -> Any:
    """A value as it may be shown: addresses without what lets one in."""
    if (section, name) == ("alerts", "webhook") and isinstance(value, str):
        return re.sub(r"^(https?://[^/?#]+/).+", r"\1***", without_secrets(value))  # a hook's path often lets one in
    return without_secrets(value) if (section, name) in _FILES and isinstance(value, str) else value


def shown(section: str, name: str, value: object) -> str:
    """A value as it may stand in a message."""
    if isinstance(value, str):
        value = "***" if _SECRET_NAME.search(name) and len(value) > 24 else public(section, name, value)
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _move(what: str, key: str) -> str:
    return (
        f"expected no secret in this file, which others may read; write {what} into a file of its own, let its owner "
        f'alone read it (chmod 600), and name that file: {key} = "FILE"'
    )
