"""What is handed on: complete metadata, and a source distribution that can be tested."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_metadata_is_complete_and_invents_no_host() -> None:
    for field in ("description", "readme", "license", "authors", "keywords", "classifiers", "requires-python"):
        assert PROJECT[field], field
    assert "urls" not in PROJECT  # until there is one
    assert (ROOT / PROJECT["readme"]).is_file()
    assert all(list(ROOT.glob(pattern)) for pattern in PROJECT["license-files"])


def test_the_versions_agree() -> None:
    import edge_sdk

    assert edge_sdk.__version__ == PROJECT["version"]


def test_the_source_distribution_holds_all_that_its_tests_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = pytest.importorskip("scikit_build_core.build")
    monkeypatch.chdir(ROOT)
    name = backend.build_sdist(str(tmp_path))
    with tarfile.open(tmp_path / name) as archive:
        files = {member.partition("/")[2] for member in archive.getnames()}
    for path in (
        "CMakeLists.txt",
        "LICENSE",
        "README.md",
        "mkdocs.yml",
        "benchmarks/RESULTS.md",
        "docs/index.md",
        "edge_sdk/models/trailcam/model.pte",
        "edge_sdk/native/runtime.cpp",
        "edge_sdk/native/scale.hpp",
        "examples/camera_loop.py",
        "licenses/components.toml",
        "licenses/xnnpack.txt",
        "protos/offload.proto",
        "scripts/environment",
        "scripts/test",
        "scripts/wheels",
        "cloud_server/models/trailcam/model.safetensors",
        "tests/conftest.py",
        Path(__file__).relative_to(ROOT).as_posix(),
    ):
        assert path in files, path
    assert not [path for path in files if path.endswith((".so", ".pyc")) or path.startswith((".venv", "build/"))]


def test_without_a_compiler_a_pure_wheel_is_built(tmp_path: Path) -> None:
    pytest.importorskip("scikit_build_core.build")
    if importlib.util.find_spec("cmake") is None:  # the system's may be too old
        pytest.skip("the package cmake is not installed")
    build = "import sys; from scikit_build_core.build import build_wheel; build_wheel(sys.argv[1])"
    environment = {**os.environ, "CC": "/nonexistent", "CXX": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert [path.name.partition("-py3-none-any")[1] for path in tmp_path.glob("*.whl")] == ["-py3-none-any"]
