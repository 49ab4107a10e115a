"""Disks by the files of boards, and room on real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_parts import board, found
from small_disk import run_on_a_small_disk

from edge_sdk.doctor.disk import nearest
from edge_sdk.doctor.finding import Asked, Level

HERE = Asked(state=Path("/"))


@pytest.mark.parametrize(
    ("name", "level", "said"),
    [
        ("pi_zero_2_w", Level.OK, "SD card SC32G 08/2021 (mmcblk0), ext4, which does not tell its wear"),
        ("pi_5", Level.OK, "NVMe SSD CT500P3SSD8 (nvme0n1), ext4"),
        ("pc", Level.OK, "USB disk Elements 25A2 (sda), ext4"),
        ("compute_module_4", Level.FAULT, "eMMC BJTD4R (mmcblk0), ext4, 90 to 100% of its life is used"),
        ("sandbox", Level.NOTE, "overlay from overlay"),
    ],
)
def test_disks(tmp_path: Path, name: str, level: Level, said: str) -> None:
    disk = found("disk", board(name, tmp_path), HERE)
    assert disk.level is level and disk.found.startswith(said)


def test_a_worn_read_only_disk_with_errors_says_all_three(tmp_path: Path) -> None:
    disk = found("disk", board("compute_module_4", tmp_path), HERE)
    for part in ("mounted read-only", "noted 3 errors", "nearly worn out"):
        assert part in disk.found
    assert "remount,rw /" in disk.do and disk.values["life_used_tenths"] == [10, 3]


def test_memory_is_no_disk(tmp_path: Path) -> None:
    machine = board("pc", tmp_path / "root")
    disk = found("disk", machine, Asked(state=Path("/tmp/state")))
    assert disk.level is Level.WARNING and "lost at each power cut" in disk.found


@pytest.mark.parametrize(
    ("kind", "said"), [("nfs4", "network file system"), ("cifs", "network"), ("exfat", "power cut can damage")]
)
def test_file_systems_that_are_none_for_a_device(tmp_path: Path, kind: str, said: str) -> None:
    machine = board("pi_5", tmp_path)
    (tmp_path / "proc/self/mountinfo").write_text(f"29 1 0:50 / / rw shared:1 - {kind} nas:/x rw\n")
    disk = found("disk", machine, HERE)
    assert disk.level is Level.WARNING and said in disk.found


def test_errors_are_found_under_the_partition_s_name_and_odd_wear_is_none(tmp_path: Path) -> None:
    machine = board("pi_zero_2_w", tmp_path)
    (tmp_path / "sys/fs/ext4/mmcblk0p2/errors_count").write_text("7\n")
    (tmp_path / "sys/dev/block/179:2").resolve().parent.joinpath("device", "life_time").write_text("what 0x\n")
    disk = found("disk", machine, HERE)
    assert disk.level is Level.WARNING and "noted 7 errors" in disk.found and disk.values["life_used_tenths"] == []


def test_a_kernel_that_tells_nothing_is_a_note(tmp_path: Path) -> None:
    machine = board("pc", tmp_path)
    (tmp_path / "proc/self/mountinfo").write_text("what is this\n")
    assert found("disk", machine, HERE).level is Level.NOTE
    assert machine.mount_of(Path("/")) is None


def test_a_blank_in_a_mount_point(tmp_path: Path) -> None:
    mount = board("pc", tmp_path).mount_of(Path("/tmp/a b/c"))
    assert mount is not None and mount.point == "/tmp/a b"


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path: Path) -> None:
    assert nearest(tmp_path / "a" / "b") == tmp_path
    assert found("space", board("pc", tmp_path), Asked(state=tmp_path / "a" / "b")).values["total_bytes"] > 0


def test_a_full_disk_is_a_fault(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from doctor_parts import found
from edge_sdk.doctor.finding import Asked, Level
from edge_sdk.doctor.machine import Machine
fill_up()
for name in ("space", "folder"):
    finding = found(name, Machine(), Asked(state=folder / "state"))
    assert finding.level is Level.FAULT, finding
assert "No space left" in finding.found and finding.do.startswith("delete"), finding
assert found("disk", Machine(), Asked(state=folder)).level is Level.WARNING
assert sorted(one.name for one in folder.iterdir()) == ["filler"]
""",
    )


def test_a_read_only_disk_is_a_fault(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
import subprocess
from doctor_parts import found
from edge_sdk.doctor.finding import Asked, Level
from edge_sdk.doctor.machine import Machine
subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
disk, state = (found(name, Machine(), Asked(state=folder)) for name in ("disk", "folder"))
assert disk.level is Level.FAULT and "read-only" in disk.found, disk
assert state.level is Level.FAULT and "Read-only file system" in state.found and "remount" in state.do, state
""",
    )
