"""Whether a service that starts at boot finds what it needs: interpreter, packages, the files of its options."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.errors import ConfigError

_OF_ITS_OWN = ("/tmp", "/var/tmp")
"""What `PrivateTmp=` hides."""
_IN_MEMORY = {"tmpfs", "ramfs"}
_LONGEST_S = 60
_SEARCHES = """
import importlib.util, json, sys
found = importlib.util.find_spec(sys.argv[1])
print(json.dumps(None if found is None else [found.origin, *sys.path]))
"""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system that is mounted.

    Attributes:
        point: where.
        kind: its type, such as "ext4".
        device: the whole block device that lies there; "": no device, or a part of one.
    """

    point: str
    kind: str
    device: str


def mounts(path: Path = Path("/proc/self/mountinfo")) -> list[Mount]:
    """What is mounted, in the order of the mounts; empty where nothing tells."""
    try:
        lines = path.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    return [_mount(line) for line in lines if " - " in line]


def by_itself(fstab: Path = Path("/etc/fstab"), units: Path = Path("/etc/systemd/system")) -> set[str]:
    """Where a start of the machine mounts something: the points that fstab or a mount unit names."""
    points = {"/"}
    for file in (fstab, *units.glob("*.mount")):
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        if file == fstab:
            fields = (line.split() for line in text.splitlines() if line.strip() and line.strip()[0] != "#")
            points |= {_plain(words[1]) for words in fields if len(words) > 1}
        else:
            points |= set(re.findall(r"^Where\s*=\s*(\S+)", text, re.MULTILINE))
    return {point.rstrip("/") or "/" for point in points}


def not_there_at_boot(path: Path, *, mounted: list[Mount], kept: set[str]) -> str:
    """Why a service does not find a path once the machine has started again; "": it does, as far as can be told.

    Args:
        path: absolute; what it links to counts too.
        mounted: as `mounts` gives them.
        kept: mount points that are there after a start, as `by_itself` gives them.
    """
    for one in dict.fromkeys((str(path), os.path.realpath(path))):
        if (hidden := next((folder for folder in _OF_ITS_OWN if _below(one, folder)), None)) is not None:
            return f"{hidden} is hidden from it, since it has one of its own, and may be emptied at a start"
        mount = _over(one, mounted)
        if _below(one, "/run") or (mount is not None and mount.kind in _IN_MEMORY):
            return f"{mount.point if mount else '/run'} is in memory, and empty after a start"
        if mount is not None and mount.device and mount.point not in kept:
            return (
                f"nothing mounts {mount.device} at {mount.point} when the machine starts: name it in /etc/fstab, "
                "or install elsewhere"
            )
    return ""


def searched(python: str, package: str) -> list[Path]:
    """The package and the folders in which an interpreter looks for packages when it is started as a service.

    Args:
        python: the interpreter.
        package: that the service runs.

    Raises:
        ConfigError: it does not find the package then, only in the folder or the environment of this call.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", _SEARCHES, package],
        cwd="/",
        env=plain,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    found = json.loads(done.stdout) if done.returncode == 0 else None
    if found is None:
        raise ConfigError(
            f"expected {package} among the packages of {python}, which the service runs in /; it is found only in this "
            f"folder, or by PYTHONPATH: install it ({python} -m pip install .)"
        )
    return [Path(one) for one in found if one and os.path.isabs(one) and os.path.exists(one)]


def _mount(line: str) -> Mount:
    left, _, right = line.partition(" - ")
    inside, point = left.split()[3:5]
    kind, source = right.split()[:2]
    return Mount(_plain(point), kind, source if inside == "/" and source.startswith("/dev/") else "")


def _plain(word: str) -> str:
    """A word in which blanks stand as the kernel and fstab write them, in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)


def _over(path: str, mounted: list[Mount]) -> Mount | None:
    """The mount that a path lies on, the latest where several lie at one point; None: the root, or not known."""
    over = [mount for mount in mounted if mount.point != "/" and _below(path, mount.point)]
    return max(reversed(over), key=lambda mount: len(mount.point), default=None)


def _below(path: str, folder: str) -> bool:
    return folder == "/" or path == folder or path.startswith(f"{folder}/")
