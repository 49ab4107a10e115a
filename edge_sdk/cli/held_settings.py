"""What a device keeps of its servers, for people: the settings that came, and which server is in use."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edge_sdk.errors import ConfigError
from edge_sdk.fleet.remote import FILE, Kept, read_kept
from edge_sdk.fleet.signed import EVERY_DEVICE, SignedSettings, has_expired, read_signed
from edge_sdk.link.in_use import read_in_use
from edge_sdk.terminal.line import one_line
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


def server_facts(state: Path) -> Facts | None:
    """Which of several servers the device of a state folder uses; None: it names one, or none has answered."""
    if (found := read_in_use(state)) is None:
        return None
    facts = Facts("server in use")
    facts.add("server", f"{one_line(found.server)}, since {_time(found.since)}")
    if found.message:
        facts.add("because", one_line(found.message))
    facts.add("in order", one_line(", ".join(found.servers)))
    return facts


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
