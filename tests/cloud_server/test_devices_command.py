from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from click.testing import CliRunner, Result

from cloud_server.cli import main
from cloud_server.devices_command import health_words, settings_words
from cloud_server.fleet.report_store import Report, ReportStore
from edge_sdk.budget.usage import Usage
from edge_sdk.fleet.health import Health
from edge_sdk.fleet.remote import HeldSettings
from edge_sdk.fleet.report_file import DeviceRow, Status


def keep(folder: Path, **devices: Status) -> None:
    async def all_of_them() -> None:
        store = ReportStore(folder)
        for device, status in devices.items():
            await store.keep(device, Report(status, []))
        await store.close()

    asyncio.run(all_of_them())


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "240"}).invoke(main, ["devices", *map(str, arguments)])


def row(status: Status, last_ms: int = 0) -> DeviceRow:
    return DeviceRow("cam", 0, last_ms, status, 0)


def test_devices_are_listed(tmp_path: Path) -> None:
    health = Health(sdk="0.1.0", bundle="trailcam 3", celsius=61.0, throttled=0x50000 | 4, disk_free=5 * 10**9)
    usage = Usage(frames=200, exits=150)
    keep(tmp_path, cam=Status(sent_ms=round(time.time() * 1000), usage=usage, waiting=4, health=health), other=Status())
    said = run("--reports", tmp_path)
    assert said.exit_code == 0, said.output
    for words in (
        "cam",
        "75.0%",
        "slowed down, since the start under-voltage, 61 °C, 5.0 GB free",
        "sdk 0.1.0, trailcam 3",
        "takes none",
    ):
        assert words in said.output
    lines = [json.loads(line) for line in run("--reports", tmp_path, "--json").output.splitlines()]
    assert {line["device"] for line in lines} == {"cam", "other"}


def test_what_is_amiss_comes_first() -> None:
    assert health_words(row(Status(health=Health(clock_unset=True, celsius=40.0)))) == "clock not set, 40 °C"
    assert health_words(row(Status(sent_ms=10**12), 10**12 + 7_200_000)) == "clock wrong by 2 h"
    assert health_words(row(Status(health=Health(own={"battery": 0.8})))) == "battery 0.8"


def test_settings_are_shown_with_what_is_not_followed() -> None:
    held = HeldSettings(takes=True, version=3, refused={"budget": ""}, reason="budget: this device does not accept it")
    expected = "version 3; without budget (budget: this device does not accept it)"
    assert settings_words(row(Status(held=held))) == expected
    assert settings_words(row(Status(held=HeldSettings(takes=True)))) == "its own"
    page = HeldSettings(takes=True, version=1_795_892_014_921)
    assert settings_words(row(Status(held=page))) == "those of 2026-11-28 18:53:34 UTC"


def test_a_folder_without_reports_is_told(tmp_path: Path) -> None:
    said = run("--reports", tmp_path)
    assert said.exit_code == 2
    assert "expected a server's reports" in said.output
