from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.budget.usage import Usage
from edge_sdk.fleet.columns import MalformedReport
from edge_sdk.fleet.health import Health, HealthReader, memory, throttle_words, throttled
from edge_sdk.fleet.status import pack_health, pack_usage, unpack_health, unpack_usage
from edge_sdk.fleet.words import WordList
from edge_sdk.wire import offload_pb2 as wire


def machine(root: Path, *temperatures: str, throttled: str | None = None) -> Path:
    """The kernel's files of a machine."""
    for number, text in enumerate(temperatures):
        zone = root / "sys/class/thermal" / f"thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(text)
    if throttled is not None:
        file = root / "sys/devices/platform/soc/soc:firmware/get_throttled"
        file.parent.mkdir(parents=True)
        file.write_text(throttled)
    return root


def test_a_raspberry_pi_tells_temperature_and_throttling(tmp_path: Path) -> None:
    root = machine(tmp_path, "51540\n", "48000\n", throttled="50005\n")
    found = HealthReader(tmp_path, "trailcam 3 x", lambda: 1_800_000_000.0, root=root).read()
    assert (found.celsius, found.throttled, found.bundle) == (51.54, 0x50005, "trailcam 3 x")
    assert found.disk_free is not None and found.disk_free > 0
    assert not found.clock_unset
    assert found.sdk and found.python.startswith("3.")


@pytest.mark.parametrize("text", ["", "no number", "-274000", "900000", "\xff"])
def test_what_the_kernel_cannot_mean_is_left_out(tmp_path: Path, text: str) -> None:
    root = machine(tmp_path, text, throttled="no number")
    found = HealthReader(tmp_path, "", lambda: 0.0, root=root).read()
    assert (found.celsius, found.throttled) == (None, None)
    assert found.clock_unset


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    found = HealthReader(tmp_path / "gone", "", lambda: 0.0, root=tmp_path).read()
    assert (found.celsius, found.throttled, found.disk_free) == (None, None, None)


def test_what_the_application_measures_is_told_in_bounds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    many = {"battery": 0.8, "nan": float("nan"), **{f"x{number}": float(number) for number in range(20)}}
    own = HealthReader(tmp_path, "", lambda: 0.0, lambda: many).read().own
    assert own["battery"] == 0.8 and "nan" not in own and len(own) == 8

    def broken() -> dict[str, float]:
        raise OSError("no battery")

    assert HealthReader(tmp_path, "", lambda: 0.0, broken).read().own == {}
    assert "health= failed" in caplog.text


def test_health_comes_back() -> None:
    given = Health("0.1.0", "3.11.7", "trailcam 3 x", 51.0, 0x50005, 5_000_000, True, {"battery": 0.5})
    words = WordList()
    came = wire.ReportedHealth.FromString(pack_health(given, words).SerializeToString())
    assert unpack_health(came, words.words) == given
    nothing = unpack_health(wire.ReportedHealth(), [])
    assert nothing == Health()


def test_measures_without_names_are_refused() -> None:
    with pytest.raises(MalformedReport, match="at most 8 measures"):
        unpack_health(wire.ReportedHealth(own_values=[1.0]), [])
    with pytest.raises(MalformedReport, match="at most 0 words"):
        unpack_health(wire.ReportedHealth(own_names=[1], own_values=[1.0]), [])


def test_usage_comes_back() -> None:
    given = Usage(frames=10, exits=7, bytes_sent=2**40)
    assert unpack_usage(pack_usage(given, 3)) == (given, 3)
    assert unpack_usage(wire.ReportedUsage(frames=2**64 - 1))[0].frames == 2**63 - 1


def test_a_raspberry_pi_5_names_its_firmware_by_an_address(tmp_path: Path) -> None:
    file = tmp_path / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    file.parent.mkdir(parents=True)
    file.write_text("50000\n")
    assert throttled(tmp_path) == 0x50000


def test_bits_of_throttling_are_said_in_words_once() -> None:
    assert throttle_words(0) == ([], [])
    assert throttle_words(0x50005) == (["under-voltage", "slowed down"], [])
    assert throttle_words(0xE0008) == (
        ["at its soft temperature limit"],
        ["frequency capped", "slowed down"],
    )


def test_the_table_of_memory_is_read_line_by_line(tmp_path: Path) -> None:
    assert memory(tmp_path) == {}
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_bytes(b"MemTotal:  3884340 kB\nOdd\nBad: x kB\n\xff: 3 kB\nHuge: 2 kB\n")
    found = memory(tmp_path)
    assert (found["MemTotal"], found["Huge"]) == (3_884_340 * 1024, 2048)
    assert "Bad" not in found
