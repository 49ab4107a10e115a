"""The config file: it can be used, and what it says is what the other checks look at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_sdk.doctor.child import Tell
from edge_sdk.doctor.finding import Asked, Case, Check, Finding, fault, ok, unended
from edge_sdk.errors import EdgeError
from edge_sdk.security.credentials import Security

_LIMIT_S = 95.0
_SHOWN = 5
PLACES = ("edge-sdk.toml", "/etc/edge-sdk/edge-sdk.toml")
"""As `edge_sdk.device_config.device` has them, without loading it."""


def read_config(given: dict[str, Any], tell: Tell) -> None:
    """Probe: read a config file, and say what the checks need of it."""
    from edge_sdk.config import PowerModel
    from edge_sdk.device_config.check import find_faults
    from edge_sdk.device_config.device import DeviceConfig
    from edge_sdk.device_config.reading import read
    from edge_sdk.device_config.sections import Budgets, LittleModelSection, StateFolder

    reading = read(Path(given["path"]))
    faults = find_faults(reading)
    tell(settings=len(reading.given), faults=[str(one) for one in faults[:_SHOWN]], fault_count=len(faults))
    if not reading.parts:  # no TOML
        return
    config = DeviceConfig(reading)

    def say(name: str, value: Callable[[], Any]) -> None:
        with suppress(EdgeError, AttributeError, IndexError):  # of a section with a fault there is no part
            tell(**{name: value()})

    say("camera", lambda: config.camera_address)
    say("bundle", lambda: config.part(LittleModelSection).path)
    say("cloud", lambda: config.servers[0])
    say("further", lambda: config.servers[1:])
    say("proxy", lambda: config.classifier_options()["uplink"].proxy)
    say("interface", lambda: config.classifier_options()["uplink"].interface)
    say("state", lambda: config.part(StateFolder).state_dir)
    say("watts", lambda: config.part(PowerModel).active_watts)
    for name in ("upload", "compute", "cloud"):
        say(f"{name}_budget", lambda name=name: _words(getattr(config.part(Budgets), name)))  # type: ignore[misc]
    security: Security = config.part(Security)
    names = ("ca", "cert", "key", "token_file", "insecure")
    say("security", lambda: {name: getattr(security, name) for name in names})


def _words(budgets: Any) -> str | None:
    return budgets if budgets is None or isinstance(budgets, str) else ", ".join(budgets)


def config_path(asked: Asked) -> Path | None:
    """The file that holds: the one named, or else one at its usual places; None: there is none."""
    if asked.config is not None:
        return asked.config
    return next((path for path in map(Path, PLACES) if path.is_file()), None)


def over(asked: Asked, values: dict[str, Any]) -> Asked:
    """What a person named, and of what they did not, what the file says."""
    said = {name: value for name, value in values.items() if value is not None}
    if "state" in said:
        said["state"] = Path(said["state"])
    if "security" in said:
        said["security"] = Security(**said["security"])
    said["further"] = tuple(said.get("further", ())) if asked.cloud is None else ()
    bare = Asked()
    taken = {name: value for name, value in said.items() if getattr(asked, name) == getattr(bare, name)}
    return replace(asked, **taken)


def _config(case: Case) -> Finding | None:
    if (path := config_path(case.asked)) is None:
        return None
    told = case.machine.ask("edge_sdk.doctor.config_file:read_config", {"path": str(path)}, limit_s=_LIMIT_S - 5)
    names = ("settings", "faults", "fault_count")
    values = {"path": str(path)} | {name: told.values[name] for name in names if name in told.values}
    case.asked = over(case.asked, {name: value for name, value in told.values.items() if name not in names})
    if told.kind == "timeout":
        return unended(f"reading {path}", _LIMIT_S - 5)
    if told.error:
        return fault(
            told.error if told.kind == "ConfigError" else f"{path} cannot be read: {told.error}",
            "`edge-sdk config init` writes one to begin with",
            **values,
        )
    if values["fault_count"]:
        more = values["fault_count"] - len(values["faults"])
        said = "; ".join(values["faults"]) + (f"; and {more} more" if more > 0 else "")
        return fault(said, "mend these lines; `edge-sdk config check` has them all", **values)
    return ok(f"{path}, {values['settings']} settings: what follows is about what it says", **values)


CHECKS = (Check("config", "settings", _config, limit_s=_LIMIT_S),)
