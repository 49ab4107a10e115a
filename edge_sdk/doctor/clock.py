"""The clock: is it set, is it held, does it go on without power."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from edge_sdk.doctor.finding import Case, Check, Finding, fault, note, ok, warning
from edge_sdk.durable.clock import RELEASED_S

_FAR_OFF_S = 600


def _clock(case: Case) -> Finding:
    machine, now_s = case.machine, case.machine.wall_s()
    synchronised = machine.synchronised()
    chip, chip_s = "", None
    for folder in machine.paths("sys/class/rtc/rtc*"):
        chip = machine.text(f"{folder}/name") or folder.rpartition("/")[2]
        chip_s = machine.number(f"{folder}/since_epoch")
        break
    goes_on = chip_s is not None and chip_s >= RELEASED_S
    said = f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    held = {True: "synchronised", False: "not synchronised", None: "the kernel does not tell whether it is held"}
    said += f", {held[synchronised]}"
    if chip:
        said += f", clock chip {chip}" + ("" if goes_on else " without a time")
    values: dict[str, Any] = {
        "unix_s": int(now_s),
        "synchronised": synchronised,
        "chip": chip,
        "chip_unix_s": chip_s,
    }
    network = "`timedatectl set-ntp true` and a network; `timedatectl` shows how it is"
    battery = "a clock chip with a battery (Pi 5: the battery of its own; others: a DS3231) keeps the time without one"
    if now_s < RELEASED_S:
        return fault(
            f"{said}: it is not set; certificates are refused and capture times are wrong",
            f"set it: {network}, or by hand, `sudo date -s '2026-05-01 12:00'`; {battery}",
            **values,
        )
    if synchronised:
        if not goes_on:
            return ok(f"{said}; after a power cut it is wrong until the network is there", **values)
        if chip_s is not None and abs(chip_s - now_s) > _FAR_OFF_S:
            return warning(f"{said}, which is {abs(chip_s - now_s):.0f} s off", "`sudo hwclock --systohc`", **values)
        return ok(said, **values)
    if goes_on:
        return ok(f"{said}; it goes on by the clock chip", **values)
    if synchronised is None:
        return note(f"{said}; a container has the clock of its machine", **values)
    return warning(
        f"{said}: capture times drift, and are wrong after a power cut",
        f"{network}; {battery}",
        **values,
    )


CHECKS = (Check("clock", "clock", _clock),)
