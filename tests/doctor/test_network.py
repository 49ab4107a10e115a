"""Interfaces, by the kernel's tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_parts import found, look

from edge_sdk.doctor.finding import Asked, Case, Finding, Level
from edge_sdk.doctor.machine import Machine
from edge_sdk.security.credentials import Security

ROUTES = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
    "wlan0\t0001A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0\n"
)
WIRELESS = (
    "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n"
    " face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n"
    " wlan0: 0000   30.  {level}.  -256        0      0      0      0      0        0\n"
)


def machine(root: Path, *, level: int = -56, state: str = "up", routes: str = ROUTES) -> Machine:
    for path, text in (
        ("proc/net/route", routes),
        ("proc/net/wireless", WIRELESS.format(level=level)),
        ("sys/class/net/wlan0/operstate", state),
        ("sys/class/net/wwan0/operstate", "unknown"),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Machine(root, programs=False)


def network(one: Machine, interface: str | None = None) -> Finding:
    return found("network", one, Asked(cloud="vm.example:5", interface=interface, security=Security(insecure=True)))


@pytest.mark.parametrize(
    ("level", "state", "interface", "expected", "said"),
    [
        (-56, "up", None, Level.OK, "wlan0 is up, signal -56 dBm"),
        (-82, "up", None, Level.WARNING, "a weak signal"),
        (44, "up", None, Level.OK, "wlan0 is up"),
        (-56, "down", None, Level.FAULT, "not connected"),
        (-56, "up", "wwan0", Level.WARNING, "the way out leads over wlan0"),
        (-56, "up", "wwan1", Level.FAULT, "there is no interface wwan1"),
    ],
)
def test_interfaces(tmp_path: Path, level: int, state: str, interface: str | None, expected: Level, said: str) -> None:
    finding = network(machine(tmp_path, level=level, state=state), interface)
    assert finding.level is expected and said in finding.found


def test_no_way_out_and_one_by_ipv6(tmp_path: Path) -> None:
    one = machine(tmp_path, routes=ROUTES.splitlines()[0] + "\n")
    assert network(one).level is Level.NOTE and "no default route" in network(one).found
    line = f"{'0' * 32} 00 {'0' * 32} 00 {1:032x} 00000400 00000001 00000000 00000003    wlan0\n"
    (tmp_path / "proc/net/ipv6_route").write_text(line + line.replace("wlan0", "lo"))
    assert network(one).values["interface"] == "wlan0"


def test_a_server_on_this_machine_needs_none_and_a_sandbox_may_tell_nothing(tmp_path: Path) -> None:
    assert look("network", Case(Machine(tmp_path), Asked())) is None
    assert look("network", Case(Machine(tmp_path), Asked(cloud="127.0.0.1:5"))) is None
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text(ROUTES)
    assert network(Machine(tmp_path)).level is Level.NOTE
