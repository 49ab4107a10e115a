"""`cloud-server devices`: what devices last told of themselves."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.fleet.health import throttle_words
from edge_sdk.terminal.reports_option import ReportsPlace

if TYPE_CHECKING:
    from edge_sdk.fleet.report_file import DeviceRow

_FOLDER = "Folder of the server's reports (cloud-server --reports), or its database (--database postgresql://...)."

_FIRST_MS, _LAST_MS = 1_500_000_000_000, 9_999_999_999_999
"""Versions that are times: from 2017 on."""


@click.command()
@click.option("--reports", required=True, type=ReportsPlace(), metavar="FOLDER", help=_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each device.")
def devices(reports: Path | str, as_json: bool) -> None:
    """List devices: last report, exit ratio, health, versions, settings; also while the server runs."""
    from edge_sdk.fleet.report_file import ReportFile

    rows = ReportFile(reports).devices()
    if as_json:
        import msgspec

        for row in rows:
            click.echo(msgspec.json.encode(row).decode())
        return
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.terminal.text import open_console

    names = (
        "device",
        "last report",
        "exits",
        "a day",
        "frames",
        "waiting",
        "answers",
        "health",
        "versions",
        "settings",
    )
    table = Rows("", names, left=("health", "versions", "settings"))
    now_s = time.time()
    for row in rows:
        table.add(*_cells(row, now_s))
    open_console().print(table if rows else "no device has reported yet")


def _cells(row: DeviceRow, now_s: float) -> tuple[object, ...]:
    usage, health = row.status.usage, row.status.health
    return (
        row.device,
        _ago(now_s - row.last_ms / 1000),
        f"{usage.exit_ratio:.1%}" if usage.frames else "",
        f"{row.day[1] / row.day[0]:.1%} of {row.day[0]}" if row.day and row.day[0] else "",
        f"{usage.frames:,}",
        row.status.waiting,
        f"{row.answers:,}",
        health_words(row),
        ", ".join(filter(None, (f"sdk {health.sdk}" if health.sdk else "", health.bundle))),
        settings_words(row),
    )


def health_words(row: DeviceRow) -> str:
    """A device's health: what is amiss first."""
    health = row.status.health
    words = []
    if health.clock_unset:
        words.append("clock not set")
    elif (wrong_s := abs(row.status.sent_ms - row.last_ms) / 1000) > 300 and row.status.sent_ms:
        words.append(f"clock wrong by {_span(wrong_s)}")
    if health.throttled:
        now, before = throttle_words(health.throttled)
        words += now
        if before:
            words.append(f"since the start {', '.join(before)}")
    if health.celsius is not None:
        words.append(f"{health.celsius:.0f} °C")
    if health.disk_free is not None:
        words.append(f"{health.disk_free / 1e9:.1f} GB free")
    words += [f"{name} {value:g}" for name, value in health.own.items()]
    return ", ".join(words)


def settings_words(row: DeviceRow) -> str:
    """Which signed settings a device holds."""
    held = row.status.held
    if not held.takes:
        return "takes none"
    words = [_version_words(held.version) if held.version else "its own"]
    if held.refused:
        words.append(f"without {', '.join(held.refused)}")
    return "; ".join(words) + (f" ({held.reason})" if held.reason else "")


def _version_words(version: int) -> str:
    """Settings that are made on the page have the time of their making as version, milliseconds since 1970."""
    if not _FIRST_MS <= version <= _LAST_MS:
        return f"version {version}"
    return f"those of {datetime.fromtimestamp(version / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ago(seconds: float) -> str:
    return f"{_span(max(0.0, seconds))} ago"


def _span(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
