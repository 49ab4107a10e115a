"""Facts of a machine: the kernel's files, programs, children that crash."""

from __future__ import annotations

import os
import select
import signal
import threading
from pathlib import Path

import pytest

from edge_sdk.doctor.machine import Machine, signal_name


def probe(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with this body as its function `run`, which children can import."""
    (folder / "a_probe.py").write_text(f"import os, signal\ndef run(given, tell):\n    {body}\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "a_probe:run"


def ends(process: int) -> bool:
    """Whether a process has ended, or does so at once: what was killed takes its time on a busy machine."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 60)[0])
    finally:
        os.close(handle)


@pytest.mark.parametrize("name", ["SIGILL", "SIGSEGV", "SIGBUS", "SIGABRT"])
def test_a_crash_is_a_result_and_what_was_told_before_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    name_of_probe = probe(tmp_path, f"tell(at=given['n']); os.kill(os.getpid(), signal.{name})", monkeypatch)
    told = Machine().ask(name_of_probe, {"n": 7}, limit_s=30)
    assert told.crashed and told.kind == name and name in told.error and told.values == {"at": 7}


def test_a_true_segmentation_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Machine().ask(probe(tmp_path, "import ctypes; ctypes.string_at(1)", monkeypatch), {}, limit_s=30)
    assert told.crashed and told.kind == "SIGSEGV"


def test_a_hang_is_ended_with_what_it_has_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "import subprocess; tell(pid=subprocess.Popen(['sleep', '600']).pid); signal.pause()"
    told = Machine().ask(probe(tmp_path, body, monkeypatch), {}, limit_s=1.5)
    assert told.kind == "timeout" and "1.5 s" in told.error and not told.crashed
    if "pid" in told.values:  # a busy machine may not have come so far
        assert ends(told.values["pid"])


def test_what_libraries_print_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "print('{\"a\": 1}', flush=True); os.write(1, b'{\"a\": 2}\\n'); tell(b=3)"
    assert Machine().ask(probe(tmp_path, body, monkeypatch), {}, limit_s=30).values == {"b": 3}


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("raise ValueError('a\\nb')", "ValueError", "ValueError: a b"),
        ("raise SystemExit(3)", "SystemExit", "SystemExit: 3"),
        ("from edge_sdk.errors import CameraError; raise CameraError('no camera')", "CameraError", "no camera"),
        ("os._exit(3)", "exit", "exit code 3"),
    ],
)
def test_failures_are_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, kind: str, said: str
) -> None:
    told = Machine().ask(probe(tmp_path, body, monkeypatch), {}, limit_s=30)
    assert (told.kind, told.crashed) == (kind, False) and said in told.error


def test_files_of_the_working_folder_are_no_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path / "card")
    told = Machine().ask("edge_sdk.doctor.packages:import_all", {"modules": ["msgspec"]}, limit_s=60)
    assert not told.error and told.values["failed"] == {}


def test_a_child_that_the_kernel_ends_for_memory_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Machine().ask(probe(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", monkeypatch), {}, limit_s=30)
    assert "memory ran out" in told.error and told.kind == "SIGKILL"


def test_leaving_ends_a_child_that_still_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    name = probe(tmp_path, f"open({str(started)!r}, 'w').close(); signal.pause()", monkeypatch)
    results: list[str] = []
    with Machine() as machine:
        thread = threading.Thread(target=lambda: results.append(machine.ask(name, {}, limit_s=300).kind))
        thread.start()
        started.open().close()  # waits for the child
    thread.join(60)
    assert results == ["SIGKILL"]
    assert machine.ask(name, {}, limit_s=300).kind == "timeout"  # nothing is started any more


def test_a_program_that_is_not_installed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Machine().run("no-such-program-here") is None
    output = Machine().run("sh", "-c", "echo out; echo err >&2; exit 4")
    assert output is not None and (output.code, output.out, output.err) == (4, "out\n", "err\n")
    assert Machine(programs=False).run("sh") is None


def test_odd_files_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "a").write_bytes(b"\xff\xfe 12\n\0")
    (tmp_path / "n").write_text(" 0x1f \n")
    (tmp_path / "loop").symlink_to("loop")
    assert machine.text("a") is not None and machine.number("a") is None
    assert machine.number("n", 16) == 31
    assert machine.text("loop") is None and machine.real("loop") is None and not machine.exists("loop")
    assert machine.text("missing") is None and machine.paths("b*") == []
    assert signal_name(int(signal.SIGILL)) == "SIGILL" and signal_name(200) == "signal 200"


def test_the_clock_of_this_kernel_is_held_or_not_or_unknown() -> None:
    assert Machine().synchronised() in (True, False, None)
