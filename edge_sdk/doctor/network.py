"""The network interface that leads away from this machine: it is there, it is up, and how well it hears."""

from __future__ import annotations

from typing import Any

from edge_sdk.doctor.finding import Case, Check, Finding, fault, note, ok, together, warning
from edge_sdk.doctor.link import SUBJECT
from edge_sdk.doctor.machine import Machine
from edge_sdk.security.credentials import host_of, is_loopback

_WEAK_DBM = -75
_REACHABLE = 0x1  # RTF_UP


def _network(case: Case) -> Finding | None:
    machine, asked = case.machine, case.asked
    if asked.interface is None and (asked.cloud is None or is_loopback(host_of(asked.cloud))):
        return None
    routes = default_interfaces(machine)
    name = asked.interface or next(iter(routes), None)
    if name is None:
        return note(
            "there is no default route: at most the local network can be reached",
            "if the server is elsewhere, connect: `nmcli device wifi connect NAME --ask`, `mmcli -L` for modems",
            interface=None,
        )
    if not machine.exists(f"sys/class/net/{name}"):
        if not machine.exists("sys/class/net"):
            return note(f"{name}; the kernel does not tell of interfaces here", interface=name)
        return fault(
            f"there is no interface {name}: its bytes cannot be counted",
            f"is the modem in? `ip link` shows all; the way out leads over {', '.join(routes) or 'none now'}",
            interface=name,
        )
    state = machine.text(f"sys/class/net/{name}/operstate") or "unknown"
    signal = signal_dbm(machine, name)
    values: dict[str, Any] = {"interface": name, "state": state, "signal_dbm": signal}
    said = f"{name} is {state}" + (f", signal {signal} dBm" if signal is not None else "")
    wrong = []
    if state == "down":
        wrong.append(
            fault("it is not connected", f"`nmcli device connect {name}`, `ip link set {name} up`; is the cable in?")
        )
    if routes and name not in routes:
        wrong.append(
            warning(
                f"the way out leads over {', '.join(routes)}",
                "name that interface, or mend the default route (`ip route`)",
            )
        )
    if signal is not None and signal < _WEAK_DBM:
        wrong.append(
            warning("a weak signal", "move the device or the access point, or use an antenna outside the housing")
        )
    return together(said, *wrong, **values) if wrong else ok(said, **values)


def default_interfaces(machine: Machine) -> list[str]:
    """Interfaces of the default routes, IPv4 first."""
    found = []
    for line in (machine.text("proc/net/route") or "").splitlines()[1:]:
        words = line.split()
        if len(words) >= 8 and words[1] == words[7] == "00000000" and int(words[3], 16) & _REACHABLE:
            found.append(words[0])
    for line in (machine.text("proc/net/ipv6_route") or "").splitlines():
        words = line.split()
        if len(words) >= 10 and words[0] == "0" * 32 and words[1] == "00" and words[9] != "lo":
            found.append(words[9])
    return list(dict.fromkeys(found))


def signal_dbm(machine: Machine, interface: str) -> int | None:
    """How well Wi-Fi hears its access point, dBm; None where it is no Wi-Fi, or not told so."""
    for line in (machine.text("proc/net/wireless") or "").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if name.strip() == interface and len(words) >= 3:
            level = words[2].rstrip(".")
            return int(level) if level.startswith("-") and level[1:].isdecimal() else None
    return None


CHECKS = (Check("network", SUBJECT, _network),)
