"""The real process under a supervisor's socket: ready, alive, hanging, ending; without camera, network and clock."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import cv2
import pytest
from service_parts import service, write_config
from tiny_network import picture

from edge_sdk.store.journal import Journal

ENDLESS = "[camera]\naddress = 'simulated://trailcam?seed=1'\nfps = 20\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_it_says_when_it_is_ready_and_that_it_lives_and_ends_cleanly(folder: Path) -> None:
    write_config(folder, ENDLESS)
    with service(folder) as running:
        running.hears(
            lambda word: word.startswith("READY=1\nSTATUS=simulated://trailcam?seed=1 -> trailcam -> no cloud")
        )
        running.hears(lambda word: word == "WATCHDOG=1")
        running.hears(lambda word: word.startswith("STATUS=watching; "))
        running.hears(lambda word: word == "WATCHDOG=1")
        running.ask_to_end()
        running.hears(lambda word: word == "STOPPING=1\nSTATUS=writing everything down")
        assert running.ended() == 0
    with Journal(folder / "state") as journal:
        assert list(journal.query())


def test_a_loop_that_hangs_on_a_frame_gives_no_sign_of_life(folder: Path) -> None:
    write_config(folder, ENDLESS)
    hang = (
        "import threading\nfrom edge_sdk.pipeline.throttle import Throttle\n"
        "Throttle.predict = lambda *args, **more: threading.Event().wait()\n"
    )
    with service(folder, before=hang) as running:
        assert "it hangs" in running.reads("the loop has been on one frame for")
        running.waiting()
        for _ in range(3):  # the thread that would tell goes on
            running.process.send_signal(signal.SIGHUP)
            running.reads("the config file was read again")
        assert [word for word in running.waiting() if "WATCHDOG" in word] == []


def test_a_camera_that_is_away_is_waited_for(folder: Path) -> None:
    write_config(folder, "[camera]\naddress = 'photos/?watch=yes'\n")
    with service(folder) as running:
        running.hears(lambda word: word.startswith("READY=1"))
        running.hears(lambda word: word.startswith("STATUS=waiting for the camera: there is no file or folder"))
        running.hears(lambda word: word == "WATCHDOG=1")
        (folder / "photos").mkdir()
        cv2.imwrite(str(folder / "photos" / "a.jpg"), picture(1, 320, 240))
        os.utime(folder / "photos" / "a.jpg", (time.time() - 100, time.time() - 100))
        running.hears(lambda word: word.startswith("STATUS=watching; 1 frames"))
        assert running.end() == 0


def test_without_network_and_clock_it_starts_and_watches(folder: Path) -> None:
    write_config(folder, f"{ENDLESS}[cloud]\nserver = '127.0.0.1:9'\n")
    unset = "import time\nreal = time.time\ntime.time = lambda: real() - 1_700_000_000\n"
    with service(folder, before=unset) as running:
        assert "this machine's clock is not set" in running.reads("clock")
        running.hears(lambda word: word.startswith("READY=1"))
        running.hears(lambda word: word.startswith("STATUS=watching; ") and "link offline" in word)
        assert running.end() == 0


def test_the_file_is_read_again(folder: Path) -> None:
    write_config(folder, ENDLESS)
    with service(folder) as running:
        running.hears(lambda word: word.startswith("READY=1"))
        write_config(folder, f"{ENDLESS}[budgets]\nupload = '1MB/day'\n[gate]\nenabled = false\n")
        running.process.send_signal(signal.SIGHUP)
        running.reads("the config file was read again: changed: budgets.upload")
        running.reads("WARNING these changes wait for a restart: gate.enabled")
        running.hears(lambda word: "; budgets 0% spent" in word)
        write_config(folder, f"{ENDLESS}[budgets]\nupload = '1MB'\n")
        running.process.send_signal(signal.SIGHUP)
        assert "did you mean" in running.reads("all stays as it was")
        write_config(folder, f"{ENDLESS}[preferences]\nnever_upload = ['unicorn']\n")
        running.process.send_signal(signal.SIGHUP)
        assert "unicorn" in running.reads("all stays as it was")
        assert running.end(signal.SIGINT) == 0


def test_a_camera_that_ends_ends_the_service(folder: Path) -> None:
    write_config(folder, "[camera]\naddress = 'simulated://trailcam?seed=1&frames=5'\n")
    with service(folder) as running:
        running.reads("the camera has ended")
        assert "5 frames" in running.reads("ended: ")
        assert running.ended() == 0


def test_a_file_that_cannot_be_used_has_an_exit_code_of_its_own(folder: Path) -> None:
    (folder / "edge-sdk.toml").write_text("[camera]\nfsp = 3\n")
    with service(folder) as running:
        _, errors = running.process.communicate()
        assert running.process.returncode == os.EX_CONFIG
        assert errors == "edge-sdk.toml:2: camera.fsp: there is no such key; did you mean camera.fps?\n"
    assert not (folder / "state").exists()
