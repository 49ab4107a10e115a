"""The disk of the state folder: its kind, its wear, the room on it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edge_sdk.device_config import state as of_devices
from edge_sdk.doctor.board import megabytes
from edge_sdk.doctor.finding import Asked, Case, Check, Finding, fault, note, ok, together, warning
from edge_sdk.doctor.machine import Machine, Mount

_SUBJECT = "disk"
_IN_MEMORY = ("tmpfs", "ramfs")
_NEEDS_BYTES, _COMFORT_BYTES = 20 << 20, 500 << 20
_FEW_FILES = 2_000
_LIFE = re.compile(r"\b0x[0-9a-fA-F]{1,2}\b")
_NETWORK = re.compile(r"nfs\d?|cifs|smb3?|9p|afs|ceph|fuse\.sshfs|vboxsf|virtiofs")
_FAT = ("vfat", "exfat", "msdos")
_WORN = 8  # tenths of an eMMC's life


def state_folder(asked: Asked) -> Path:
    """The state folder that the device uses."""
    return of_devices.state_folder(asked.state, asked.little)


def nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    folder = Path(os.path.abspath(folder))
    return next((one for one in (folder, *folder.parents) if os.path.isdir(one)), Path("/"))


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as the kernel knows it.

    Attributes:
        name: such as "mmcblk0".
        kind: "SD card", "eMMC", "NVMe SSD", "SSD", "hard disk", "USB disk", or "disk".
        model: what it calls itself.
        life: tenths of its life that are used, for the two kinds of memory in an eMMC; (): it does not tell.
        spare: of the spare blocks, 1: fine, 2: four fifths used, 3: nine tenths used; 0: it does not tell.
        errors: that ext4 has noted.
    """

    name: str
    kind: str
    model: str = ""
    life: tuple[int, ...] = ()
    spare: int = 0
    errors: int = 0


def disk_of(machine: Machine, mount: Mount) -> Disk | None:
    """The disk under a file system; None where there is none, or the kernel does not tell."""
    part = machine.real(f"sys/dev/block/{mount.device}")
    if part is None and mount.source.startswith("/dev/"):
        part = machine.real(f"sys/class/block/{PurePosixPath(mount.source).name}")
    if part is None:
        return None
    errors = machine.number(f"sys/fs/ext4/{PurePosixPath(part).name}/errors_count") or 0
    whole = str(PurePosixPath(part).parent) if machine.exists(f"{part}/partition") else part
    slaves = machine.paths(f"{whole}/slaves/*")  # of a mapped or encrypted disk
    if slaves and (below := machine.real(slaves[0])) is not None:
        whole = str(PurePosixPath(below).parent) if machine.exists(f"{below}/partition") else below
    name = PurePosixPath(whole).name
    if name.startswith("mmcblk"):
        is_emmc = machine.text(f"{whole}/device/type") == "MMC"
        life = tuple(int(one, 16) for one in _LIFE.findall(machine.text(f"{whole}/device/life_time") or ""))
        model = " ".join(filter(None, (machine.text(f"{whole}/device/{one}") for one in ("name", "date"))))
        spare = machine.number(f"{whole}/device/pre_eol_info", 16) or 0
        return Disk(name, "eMMC" if is_emmc else "SD card", model, life, spare, errors)
    model = machine.text(f"{whole}/device/model") or ""
    if name.startswith("nvme"):
        return Disk(name, "NVMe SSD", model, errors=errors)
    spins = machine.number(f"{whole}/queue/rotational")
    kind = "USB disk" if "/usb" in whole else {0: "SSD", 1: "hard disk"}.get(-1 if spins is None else spins, "disk")
    if name.startswith(("vd", "xvd")):
        kind = "virtual disk"
    return Disk(name, kind, model, errors=errors)


def _disk(case: Case) -> Finding:
    machine, folder = case.machine, nearest(state_folder(case.asked))
    mount = machine.mount_of(folder)
    if mount is None:
        return note(f"the kernel does not tell on which disk {folder} lies")
    values: dict[str, Any] = {
        "folder": str(folder),
        "mount": mount.point,
        "file_system": mount.kind,
        "kind": "",
        "device": "",
    }
    wrong = []
    if mount.read_only:
        wrong.append(
            fault(
                "it is mounted read-only",
                f"`dmesg` says why (a worn card turns read-only, a damaged file system is mounted so); else "
                f"`sudo mount -o remount,rw {mount.point}`",
            )
        )
    if _NETWORK.fullmatch(mount.kind):
        wrong.append(
            warning(
                "locks of a network file system may not hold, and its loss stops the device", "name a folder on a disk"
            )
        )
    if mount.kind in _FAT:
        wrong.append(
            warning(
                "a power cut can damage this kind of file system, and it keeps no permissions of keys",
                "use ext4 for what the device keeps",
            )
        )
    if mount.kind in _IN_MEMORY:
        wrong.append(
            warning("what is kept there is lost at each power cut", "name a folder on a disk: --state, state_dir=...")
        )
        return together(f"{folder} is in memory ({mount.kind})", *wrong, **values)
    disk = disk_of(machine, mount)
    if disk is None:
        said = f"{mount.kind} from {mount.source}; the kernel does not tell which disk is below"
        if mount.kind == "overlay":
            wrong.append(
                note(
                    "what is kept in an overlay goes with the container, or at the next start",
                    "put the state folder on a volume of its own",
                )
            )
        return together(said, *wrong, **values)
    values |= {"kind": disk.kind, "device": disk.name, "model": disk.model, "life_used_tenths": list(disk.life)}
    if disk.errors:
        wrong.append(
            warning(
                f"the file system has noted {disk.errors} errors",
                "copy what you need, then `sudo touch /forcefsck` and start again; replace a card that does it twice",
            )
        )
    used = max((one for one in disk.life if 0 < one <= 11), default=0)
    said = f"{disk.kind}{f' {disk.model}' if disk.model else ''} ({disk.name}), {mount.kind}"
    if used:
        said += f", {'over its' if used > 10 else f'{10 * (used - 1)} to {10 * used}% of its'} life is used"
    elif disk.kind == "SD card":
        said += ", which does not tell its wear"
    if used > _WORN or disk.spare >= 2:
        wrong.append(
            warning(
                "the memory is nearly worn out", "replace it soon; keep the state folder's bundle and keys elsewhere"
            )
        )
    return together(said, *wrong, **values)


def _space(case: Case) -> Finding:
    folder = nearest(state_folder(case.asked))
    try:
        found = os.statvfs(folder)
    except OSError as error:
        return fault(f"{folder} cannot be looked at: {error.strerror}", "check the folder and its disk")
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    said = f"{megabytes(free)} of {megabytes(total)} free at {folder}"
    values = {"free_bytes": free, "total_bytes": total, "free_files": found.f_favail}
    cure = "delete what is not needed (`sudo apt clean`, `journalctl --vacuum-size=50M`), or set a smaller archive"
    if free < _NEEDS_BYTES:
        return fault(f"{said}: nothing more can be kept", cure, **values)
    if found.f_files and found.f_favail < _FEW_FILES:
        return warning(f"{said}, and {found.f_favail} files may be made", f"{cure}; many small files", **values)
    if free < _COMFORT_BYTES:
        return warning(f"{said}: frames that wait may take 200 MB, and the archive what you allow", cure, **values)
    return ok(said, **values)


CHECKS = (Check("disk", _SUBJECT, _disk), Check("space", _SUBJECT, _space))
