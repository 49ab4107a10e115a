"""Python, processor, memory, heat and power, by the files of boards."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_parts import board, found, look

from edge_sdk.doctor.finding import Asked, Case, Level
from edge_sdk.doctor.machine import Machine


def test_a_weak_supply_is_a_fault_that_says_which_supply_to_use(tmp_path: Path) -> None:
    power = found("power", board("pi_zero_2_w", tmp_path))
    assert power.level is Level.FAULT
    assert "now under-voltage, slowed down" in power.found and "5.1 V" in power.do
    assert power.values == {"bits": 0x50005}


def test_heat_before_and_now_is_a_warning(tmp_path: Path) -> None:
    machine = board("compute_module_4", tmp_path)
    power, temperature = found("power", machine), found("temperature", machine)
    assert power.level is temperature.level is Level.WARNING
    assert "now at its soft temperature limit; since the start frequency capped, slowed down" in power.found
    assert "heat sink" in power.do and temperature.values == {"celsius": 84.0}


def test_a_board_in_order(tmp_path: Path) -> None:
    machine = board("pi_5", tmp_path)
    for name in ("processor", "memory", "temperature", "power"):
        assert found(name, machine).level is Level.OK, name
    processor = found("processor", machine)
    assert processor.found == "Raspberry Pi 5 Model B Rev 1.0, aarch64, 4 cores, int8 dot product"
    assert processor.values["simd"] == ["asimd", "asimddp"]


@pytest.mark.parametrize(
    ("name", "level", "said"),
    [
        ("pi_zero_2_w", Level.WARNING, "144 MB of 448 MB free, swap 105 MB"),
        ("compute_module_4", Level.WARNING, "123 MB of 1.9 GB free"),
        ("pc", Level.OK, "11.3 GB of 16.5 GB free"),
    ],
)
def test_memory(tmp_path: Path, name: str, level: Level, said: str) -> None:
    memory = found("memory", board(name, tmp_path))
    assert memory.level is level and memory.found.startswith(said)


def test_a_container_that_may_use_less_than_the_machine_has(tmp_path: Path) -> None:
    machine = board("pc", tmp_path)
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(f"{64 << 20}\n")
    (tmp_path / "sys/fs/cgroup/memory.current").write_text(f"{32 << 20}\n")
    memory = found("memory", machine)
    assert memory.level is Level.FAULT and memory.values["total_bytes"] == 64 << 20
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max\n")
    assert found("memory", machine).level is Level.OK


def test_a_sandbox_without_sys_is_told_of(tmp_path: Path) -> None:
    machine = board("sandbox", tmp_path)
    processor = found("processor", machine)
    assert processor.level is Level.WARNING and "/sys/devices/system/cpu" in processor.found
    case = Case(machine, Asked())
    assert look("temperature", case) is None and look("power", case) is None


def test_a_kernel_that_tells_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, programs=False, architecture="riscv64")
    assert found("memory", machine).level is Level.NOTE
    processor = found("processor", machine)
    assert processor.level is Level.WARNING and "x86-64 and aarch64 alone" in processor.found


def test_temperatures_that_cannot_be_are_left_out(tmp_path: Path) -> None:
    assert look("temperature", Case(board("pc", tmp_path), Asked())) is None


def test_the_firmware_is_asked_where_the_kernel_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = board("pi_5", tmp_path / "root", programs=True)
    (tmp_path / "root/sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled").unlink()
    assert found("power", machine).level is Level.NOTE
    program = tmp_path / "bin" / "vcgencmd"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "throttled=0x$([ "$1" = get_throttled ] && echo 10000)"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    power = found("power", machine)
    assert power.level is Level.WARNING and power.found.startswith("since the start under-voltage")
    program.write_text("#!/bin/sh\necho throttled=nonsense\n")
    assert found("power", machine).level is Level.NOTE


def test_the_alarm_of_the_voltage_sensor_counts(tmp_path: Path) -> None:
    machine = board("pi_5", tmp_path)
    (tmp_path / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled").unlink()
    folder = tmp_path / "sys/class/hwmon/hwmon1"
    folder.mkdir(parents=True)
    (folder / "name").write_text("rpi_volt\n")
    (folder / "in0_lcrit_alarm").write_text("1\n")
    assert found("power", machine).level is Level.FAULT


def test_python_is_named_with_its_bits() -> None:
    python = found("python", Machine())
    assert python.values["bits"] == 64 and "edge_sdk" in python.found
