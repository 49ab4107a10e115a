"""Python, the processor, memory, heat and the power supply."""

from __future__ import annotations

import platform
import struct
import sys
import sysconfig

from edge_sdk import __version__
from edge_sdk.doctor.finding import Case, Check, Finding, fault, note, ok, together, warning
from edge_sdk.doctor.machine import Machine
from edge_sdk.fleet.health import HOT_CELSIUS, UNDER_VOLTAGE, WARM_CELSIUS, hottest, memory, throttle_words, throttled

_SUBJECT = "machine"
_SIMD = {
    "x86_64": ("avx512_vnni", "avx512f", "avx2", "avx", "sse4_1", "ssse3", "sse2"),
    "aarch64": ("i8mm", "asimddp", "asimd"),
    "armv7l": ("neon",),
}
_SIMD_NAMES = {
    "asimd": "NEON",
    "asimddp": "int8 dot product",
    "i8mm": "int8 matrices",
    "sse4_1": "SSE4.1",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512f": "AVX-512",
}
_NEEDS_BYTES, _COMFORT_BYTES = 100_000_000, 150_000_000
_SUPPLY = (
    "use a supply that holds 5.1 V under load (Zero 2 W and Pi 3: 2.5 A; Pi 4: 3 A; Pi 5: 5 A) and a short, thick "
    "cable; from a battery, a converter of that current"
)


def _python(case: Case) -> Finding:
    version, bits = platform.python_version(), 8 * struct.calcsize("P")
    here = f"{version}, {bits}-bit {sysconfig.get_platform()}, edge_sdk {__version__}"
    values = {"version": version, "bits": bits, "sdk": __version__, "executable": sys.executable}
    wrong = []
    if bits == 32:
        wrong.append(
            warning(
                "the native runtime is made for 64-bit systems",
                "install the 64-bit image of the system (a Zero 2 W, Pi 3, 4 and 5 run it)",
            )
        )
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        wrong.append(warning("a free-threaded Python is untested", "use the usual build of Python"))
    return together(here, *wrong, **values)


def _processor(case: Case) -> Finding:
    machine = case.machine
    kind, features = machine.architecture, simd(machine)
    cores = _cores(machine)
    best = next((name for name in _SIMD.get(kind, ()) if name in features), "")
    parts = [machine.board, kind, f"{cores} core{'' if cores == 1 else 's'}" if cores else ""]
    parts.append(_SIMD_NAMES.get(best, best.upper()))
    wrong = []
    if kind not in _SIMD:
        wrong.append(note("the native runtime is tested on x86-64 and aarch64 alone"))
    if not machine.exists("sys/devices/system/cpu"):
        wrong.append(
            warning(
                "there is no /sys/devices/system/cpu, by which the runtime tells what the processor is",
                "mount /sys in this container or sandbox (read-only will do); without it XNNPACK is 'not available'",
            )
        )
    values = {"board": machine.board, "architecture": kind, "cores": cores, "simd": sorted(features & _known())}
    return together(", ".join(part for part in parts if part), *wrong, **values)


def simd(machine: Machine) -> set[str]:
    """What the kernel says that the processor can do."""
    for line in (machine.text("proc/cpuinfo") or "").splitlines():
        name, _, rest = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(rest.split())
    return set()


def _known() -> set[str]:
    return {name for names in _SIMD.values() for name in names}


def _cores(machine: Machine) -> int:
    lines = (machine.text("proc/cpuinfo") or "").splitlines()
    return sum(line.partition(":")[0].strip() == "processor" for line in lines)


def _memory(case: Case) -> Finding:
    table = memory(case.machine.root)
    if "MemTotal" not in table:
        return note("the kernel does not tell how much memory there is (/proc/meminfo)")
    total, free = table["MemTotal"], table.get("MemAvailable", table.get("MemFree", 0))
    limit = _group_limit(case.machine)
    if limit is not None and limit < total:
        used = case.machine.number("sys/fs/cgroup/memory.current") or 0
        total, free = limit, min(free, max(0, limit - used))
    swap = table.get("SwapTotal", 0)
    said = f"{megabytes(free)} of {megabytes(total)} free{f', swap {megabytes(swap)}' if swap else ''}"
    values = {"total_bytes": total, "free_bytes": free, "swap_bytes": swap}
    cure = "end other programs, boot without a desktop (raspi-config), or give the container more"
    if free < _NEEDS_BYTES and free + table.get("SwapFree", 0) < _NEEDS_BYTES:
        return fault(f"{said}: the device part takes about {megabytes(_NEEDS_BYTES)}", cure, **values)
    if free < _COMFORT_BYTES:
        return warning(f"{said}: little beside the {megabytes(_NEEDS_BYTES)} of the device part", cure, **values)
    return ok(said, **values)


def _group_limit(machine: Machine) -> int | None:
    """What the control group (a container, a service) may use; None: no limit is told."""
    limit = machine.number("sys/fs/cgroup/memory.max")
    return machine.number("sys/fs/cgroup/memory/memory.limit_in_bytes") if limit is None else limit


def megabytes(count: int) -> str:
    """A number of bytes for a person."""
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.0f} MB"


def _temperature(case: Case) -> Finding | None:
    celsius = hottest(case.machine.root / "sys/class/thermal")
    if celsius is None:
        return None
    said, values = f"{celsius:.0f} °C", {"celsius": round(celsius, 1)}
    if celsius >= HOT_CELSIUS:
        return warning(
            f"{said}: the processor slows down, or is about to",
            "give it a heat sink and air, shade the housing; `edge-sdk doctor` again in the afternoon sun",
            **values,
        )
    if celsius >= WARM_CELSIUS:
        limit = f"a Raspberry Pi slows down from {HOT_CELSIUS:.0f} °C on"
        return note(f"{said}: warm; {limit}", "shade the housing", **values)
    return ok(said, **values)


def _power(case: Case) -> Finding | None:
    bits = throttled_bits(case.machine)
    if bits is None:
        if case.machine.is_raspberry_pi:
            return note(
                "the firmware does not tell of under-voltage here (no get_throttled, no vcgencmd)",
                "sudo apt install raspi-utils; in a container, bind /sys and /dev/vcio",
            )
        return None
    now, before = throttle_words(bits)
    said = "; ".join(
        part for part in (f"now {', '.join(now)}" if now else "", f"since the start {', '.join(before)}") if part
    )
    if not now and not before:
        return ok("no under-voltage and no throttling since the start", bits=0)
    voltage = UNDER_VOLTAGE in (*now, *before)
    if not before:
        said = f"now {', '.join(now)}"
    cure = _SUPPLY if voltage else "it is too warm: give it a heat sink and air, shade the housing"
    if voltage:
        said += ": pictures, answers and the card's content can be lost"
    find = fault if UNDER_VOLTAGE in now else warning
    return find(said, cure, bits=bits)


def throttled_bits(machine: Machine) -> int | None:
    """The Raspberry Pi's `get_throttled`, by the kernel's file, the voltage alarm, or `vcgencmd`; None: no such."""
    if (bits := throttled(machine.root)) is not None:
        return bits
    output = machine.run("vcgencmd", "get_throttled") if machine.is_raspberry_pi else None
    if output is not None and output.code == 0 and output.out.startswith("throttled="):
        try:
            return int(output.out.strip().partition("=")[2], 16) & 0xFFFFFFFF
        except ValueError:
            return None
    for folder in machine.paths("sys/class/hwmon/hwmon*"):
        if machine.text(f"{folder}/name") == "rpi_volt":
            alarm = machine.number(f"{folder}/in0_lcrit_alarm")
            return None if alarm is None else alarm & 1
    return None


CHECKS = (
    Check("python", _SUBJECT, _python),
    Check("processor", _SUBJECT, _processor),
    Check("memory", _SUBJECT, _memory),
    Check("temperature", _SUBJECT, _temperature),
    Check("power", _SUBJECT, _power),
)
