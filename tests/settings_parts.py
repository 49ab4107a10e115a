"""Keys and files of signed settings for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_sdk.fleet.signed import Body, new_settings_key, sign

MADE_AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Operator:
    """Holds a key, and signs settings with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.key, self.public = folder / "settings.key", folder / "settings.pub"
        self.key_id = new_settings_key(self.key, self.public)

    def signed(self, version: int = 1, device: str = "*", expires_at: datetime | None = None, **wanted: Any) -> bytes:
        """A file of signed settings."""
        body = Body(device=device, version=version, made_at=MADE_AT, expires_at=expires_at, settings=wanted)
        return sign(self.key, body)
