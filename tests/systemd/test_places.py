"""What a service finds at the next start of the machine."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.systemd.places import Mount, by_itself, mounts, not_there_at_boot, searched

ROOT = Path(__file__).resolve().parents[2]
INFO = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
22 21 0:20 / /run rw,nosuid shared:2 - tmpfs tmpfs rw
23 21 0:21 / /dev/shm rw - tmpfs tmpfs rw
24 21 8:1 / /media/pi/my\\040stick rw - vfat /dev/sda1 rw
25 21 8:17 / /srv/disk rw - ext4 /dev/sdb1 rw
26 21 8:33 /volumes/a /srv/volume rw - ext4 /dev/sdc1 rw
27 21 0:40 / /mnt/ram rw - tmpfs tmpfs rw
28 27 8:49 / /mnt/ram rw - ext4 /dev/sdd1 rw
"""
FSTAB = "# <file system> <mount point>\nUUID=1 / ext4 defaults 0 1\n/dev/sdb1 /srv/disk ext4 defaults 0 2\n\nbad\n"


@pytest.fixture
def table(tmp_path: Path) -> tuple[list[Mount], set[str]]:
    """What is mounted, and what a start mounts."""
    (tmp_path / "mountinfo").write_text(INFO)
    (tmp_path / "fstab").write_text(FSTAB)
    (tmp_path / "mnt-ram.mount").write_text("[Mount]\nWhat=/dev/sdd1\nWhere=/mnt/ram\n")
    return mounts(tmp_path / "mountinfo"), by_itself(tmp_path / "fstab", tmp_path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/opt/edge-sdk/bin/python", ""),
        ("/tmpfiles/python", ""),
        ("/tmp/v/bin/python", "/tmp is hidden from it"),
        ("/var/tmp/v/bin/python", "/var/tmp is hidden from it"),
        ("/run/v/python", "/run is in memory"),
        ("/dev/shm/v/python", "/dev/shm is in memory"),
        ("/media/pi/my stick/python", "nothing mounts /dev/sda1 at /media/pi/my stick when the machine starts"),
        ("/srv/disk/python", ""),
        ("/srv/volume/python", ""),  # a part of a device: a container's volume, which its engine mounts
        ("/mnt/ram/python", ""),  # what was in memory is covered, and a unit mounts what covers it
    ],
)
def test_what_is_gone_at_the_next_start(path: str, said: str, table: tuple[list[Mount], set[str]]) -> None:
    mounted, kept = table
    why = not_there_at_boot(Path(path), mounted=mounted, kept=kept)
    assert why.startswith(said) and bool(why) == bool(said)


def test_what_a_path_links_to_counts(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to("/dev/shm/python")
    link = Path("/proc/self/root") / (tmp_path / "python").relative_to("/")  # itself in no folder that is hidden
    memory = [Mount("/dev/shm", "tmpfs", "")]
    assert not_there_at_boot(link, mounted=memory, kept=set()).startswith("/dev/shm is in memory")


def test_where_nothing_tells_nothing_is_said(tmp_path: Path) -> None:
    assert mounts(tmp_path / "none") == [] and by_itself(tmp_path / "none", tmp_path / "none") == {"/"}
    assert not_there_at_boot(Path("/opt/python"), mounted=[], kept=set()) == ""


def test_packages_that_a_service_does_not_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found in the folder of the call, or by PYTHONPATH, which the service has not."""
    venv.create(tmp_path / "v", with_pip=False)
    python = str(tmp_path / "v" / "bin" / "python")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=r"expected edge_sdk among the packages of .*-m pip install \."):
        searched(python, "edge_sdk")
    (site,) = (tmp_path / "v").rglob("site-packages")
    (site / "tree.pth").write_text(f"{ROOT}\n")
    found = searched(python, "edge_sdk")
    assert found[0] == ROOT / "edge_sdk" / "__init__.py" and site in found and ROOT in found


def test_this_python_finds_its_packages() -> None:
    assert searched(sys.executable, "cloud_server")
