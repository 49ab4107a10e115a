"""Packages that are missing, made for another numpy, or kill the process."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_parts import found

from edge_sdk.doctor import packages as packages_check
from edge_sdk.doctor.finding import Level
from edge_sdk.doctor.machine import Machine


def instead_of(folder: Path, module: str, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let children import this in place of a module."""
    (folder / f"{module}.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_all_is_there() -> None:
    packages, runtime = found("packages", Machine()), found("runtime", Machine())
    assert packages.level is Level.OK and set(packages.values["versions"]) >= {"numpy", "cv2", "grpc"}
    assert runtime.level in (Level.OK, Level.WARNING)


def test_a_module_that_kills_the_process_is_a_line_and_the_others_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead_of(tmp_path, "simplejpeg", "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n", monkeypatch)
    packages = found("packages", Machine())
    assert packages.level is Level.FAULT and "importing simplejpeg kills the process (SIGILL)" in packages.found
    assert set(packages.values["failed"]) == {"simplejpeg"} and "grpc" in packages.values["versions"]


@pytest.mark.parametrize(
    ("raised", "said", "cure"),
    [
        ("ValueError('numpy.dtype size changed')", "was built for another numpy", "pip uninstall numpy"),
        ("ModuleNotFoundError('No module named simplejpeg')", "is missing", "pip install simplejpeg"),
        ("ImportError('libturbojpeg.so.0: cannot open shared object file')", "lacks a library", "apt install"),
        ("RuntimeError('x')", "cannot be imported", "--force-reinstall"),
    ],
)
def test_each_way_to_fail_has_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: str, said: str, cure: str
) -> None:
    instead_of(tmp_path, "simplejpeg", f"raise {raised}\n", monkeypatch)
    packages = found("packages", Machine())
    assert packages.level is Level.FAULT and said in packages.found and cure in packages.do


def test_a_simplejpeg_that_imports_and_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "import numpy\nencode_jpeg = bytes\ndecode_jpeg = lambda data: numpy.zeros((1, 1, 3))\n"
    instead_of(tmp_path, "simplejpeg", body, monkeypatch)
    assert "another shape" in found("packages", Machine()).found


def test_what_does_not_end_is_not_called_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead_of(tmp_path, "numpy", "import signal\nsignal.pause()\n", monkeypatch)
    monkeypatch.setattr(packages_check, "_LIMIT_S", 2.0)
    packages = found("packages", Machine())
    assert packages.level is Level.WARNING and "numpy did not end within 2 s" in packages.found


@pytest.mark.parametrize(
    ("version", "architecture", "said"),
    [
        ("4.11.0.86", "x86_64", "RTSP"),
        ("5.0.0.93", "aarch64", "resizes otherwise"),
        ("5.0.0.93", "x86_64", ""),
        ("4.10.0.84", "aarch64", ""),
        ("", "aarch64", ""),
    ],
)
def test_releases_of_opencv_that_are_better_left(version: str, architecture: str, said: str) -> None:
    findings = packages_check._opencv(version, architecture)
    assert [said in one.found for one in findings] == ([True] if said else [])
