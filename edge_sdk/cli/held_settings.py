"""What a device keeps of its server's settings, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edge_sdk.errors import ConfigError
from edge_sdk.fleet.remote import FILE, Kept, read_kept
from edge_sdk.fleet.signed import EVERY_DEVICE, SignedSettings, has_expired, read_signed
from edge_sdk.terminal.tables import Facts


def read_held(state: Path) -> tuple[Kept, SignedSettings] | None:
    """What a state folder has of its server's settings; None: it has none. The signature is not checked.

    Raises:
        ConfigError: what is there cannot be read.
    """
    try:
        kept = read_kept(state)
        return kept, read_signed(kept.signed.encode())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {state / FILE}: {error}") from error


def held_facts(state: Path) -> Facts:
    """Which signed settings hold by a state folder, whose they are, and which of their kinds are refused.

    The folder is only read. The signature is not checked: the device did so when they came.

    Raises:
        ConfigError: what is there cannot be read.
    """
    facts = Facts("settings from the server")
    if (found := read_held(state)) is None:
        facts.add("hold", "none: none were accepted")
        return facts
    kept, signed = found
    body = signed.body
    facts.add("version", f"{body.version}, for {'all devices' if body.device == EVERY_DEVICE else body.device}")
    facts.add("signed by", f"key {signed.key}, {_time(body.made_at)}")
    facts.add("came from", f"{kept.server}, {_time(kept.received_at)}")
    over = has_expired(body, datetime.now(UTC))
    if body.expires_at is not None:
        facts.add("expired" if over else "until", _time(body.expires_at))
    if over:
        facts.add("hold", "none: they have expired, all is the device's own")
    elif kept.judged_at is None:
        facts.add("name", ", ".join(body.settings) or "nothing: all is the device's own")
        facts.add("hold", "not known: the device has not yet said which of these it follows")
    else:
        facts.add("hold", "; ".join(kept.applied.values()) or "none: all is the device's own")
        facts.add("refused", "; ".join(f"{kind}: {why}" for kind, why in kept.refused.items()) or "none")
        facts.add("as of", _time(kept.judged_at))
    return facts


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
