"""What `scripts/wheels` builds: content, tags, licences, and that the device's part runs by itself.

The wheels are those in build/wheels/dist, or in the folder that EDGE_SDK_WHEELS names.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("EDGE_SDK_WHEELS", ROOT / "build" / "wheels" / "dist"))
COMPONENTS = tomllib.loads((ROOT / "licenses" / "components.toml").read_text())


@pytest.fixture
def wheels() -> list[Path]:
    found = sorted(FOLDER.glob("*.whl"))
    if not found:
        pytest.skip(f"no wheels in {FOLDER}: scripts/wheels builds them")
    return found


def scripts_wheels(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "wheels", *arguments]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


def device_wheel(wheels: list[Path], machine: str) -> Path:
    """The device's wheel for a machine that this Python can load, or could there."""
    tags = ("cp311-cp311",) if sys.version_info < (3, 12) else ("cp312-abi3",)
    found = [path for path in wheels if "+device-" in path.name and machine in path.name and tags[0] in path.name]
    if not found:
        pytest.skip(f"no device's wheel of {tags[0]} for {machine} in {FOLDER}: scripts/wheels builds it")
    return found[0]


def test_each_component_has_its_licence_and_each_licence_its_component() -> None:
    texts = {path.name: path.read_text() for path in (ROOT / "licenses").glob("*.txt")}
    assert {about["text"] for about in COMPONENTS.values()} == set(texts)
    assert all(len(text) > 1000 and "opyright" in text for text in texts.values())


def test_the_wheels_are_as_they_should_be(wheels: list[Path]) -> None:
    done = scripts_wheels("--check", *wheels)
    assert done.returncode == 0, done.stderr


def test_a_wheel_with_faults_is_refused(wheels: list[Path], tmp_path: Path) -> None:
    good = device_wheel(wheels, platform.machine())
    bad = tmp_path / good.name
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as copy:
        for info in source.infolist():
            if not info.filename.endswith("xnnpack.txt"):
                copy.writestr(info, source.read(info))
        copy.writestr("edge_sdk/slow.py", "def heavy() -> None:\n    import torch\n")
        copy.writestr("cloud_server/server.py", "")
        copy.writestr("edge_sdk/_lib/libstranger.so", bytes(20))
    done = scripts_wheels("--check", bad)
    assert done.returncode == 1
    for fault in (
        "edge_sdk/slow.py: imports torch, which no device has",
        "cloud_server/server.py: not for devices",
        "libstranger.so: a library whose licence is not in licenses/components.toml",
        "licenses/xnnpack.txt: the licence of xnnpack is missing",
        "expected its bill of materials beside it",
    ):
        assert fault in done.stderr
    other = tmp_path / good.name.replace("manylinux_2_34", "manylinux_2_39").replace("-cp3", "-py3")
    shutil.copy(good, other)
    refused = scripts_wheels("--check", other).stderr
    assert "expected a manylinux tag of glibc 2.36 or older" in refused and "expected the tags" in refused


def test_the_bill_of_materials_names_what_is_inside_and_what_is_required(wheels: list[Path]) -> None:
    for path in wheels:
        bill: dict[str, Any] = json.loads(path.with_suffix(".cdx.json").read_text())
        assert bill["bomFormat"] == "CycloneDX"
        machine = path.stem.rpartition("manylinux")[2].partition("_")[2].split("_", 2)[2]
        inside = {one["name"] for one in bill["components"] if one["description"].startswith("compiled")}
        assert inside == {name for name, one in COMPONENTS.items() if machine in one.get("machines", [machine])}
        assert {"numpy", "opencv-python-headless", "grpcio"} <= {one["name"] for one in bill["components"]}
        assert bill["metadata"]["component"]["version"] in path.name


def test_the_devices_wheel_runs_by_itself(wheels: list[Path], tmp_path: Path) -> None:
    wheel = device_wheel(wheels, platform.machine())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "sys.meta_path = [one for one in sys.meta_path if not type(one).__module__.startswith('_editable')]\n"
        f"sys.path.insert(0, {str(tmp_path / 'installed')!r})\n"
        "import edge_sdk\n"
        "assert edge_sdk.__file__.startswith(sys.path[0]), edge_sdk.__file__\n"
        f"sys.path = [one for one in sys.path if one != {str(ROOT)!r}]\n"
        "from edge_sdk import LittleModel, open_bundle, open_camera\n"
        "frame = next(iter(open_camera('simulated://trailcam?seed=1&frames=1')))\n"
        "with LittleModel(open_bundle('trailcam')) as model:\n"
        "    print(model.predict(frame.image).label)\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "heavy = {'torch', 'timm', 'pandas', 'executorch', 'cloud_server'} & loaded\n"
        "assert not heavy, heavy\n"
        "from edge_sdk.cli import DEVICE, cli\n"
        "from edge_sdk.terminal.command import run\n"
        "for command in DEVICE:\n"
        "    assert run(cli, 'edge-sdk', [command.name, '--help']) == 0, command.name\n"
        "assert run(cli, 'edge-sdk', ['info', 'trailcam']) == 0\n"
        "raise SystemExit(run(cli, 'edge-sdk', ['photos', '--data', '.', '--out', 'out']))\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "which the device's wheel leaves out" in done.stderr
