"""The real `edge-sdk run` on the simulated camera, real clients, and a real browser."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import numpy as np
import pytest
from chromium import PHONE, chromium, needs_chromium
from service_parts import Running, service, write_config

from edge_sdk import open_bundle
from edge_sdk.images.read import decode_image
from edge_sdk.store.journal import Journal

CAMERA = "[camera]\naddress = 'simulated://trailcam?seed=1'\nfps = 20\n"
NAME = "[deployment]\nname = 'cam-7'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


class Served:
    """A device with its preview."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.said = running.reads("preview: ")
        match = re.search(r"http://([^/]+):(\d+)/(?:\?token=(\S+))?", self.said)
        assert match is not None
        self.port, self.token = int(match[2]), match[3] or ""
        self.host = f"127.0.0.1:{self.port}"

    def open(self, path: str = "/", **headers: str) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def get(self, path: str = "/", **headers: str) -> tuple[int, str]:
        reply = self.open(path, **headers)
        return reply.status, reply.read().decode("utf-8", "replace")


@contextmanager
def served(folder: Path, http: str, more: str = "", *, before: str = "") -> Iterator[Served]:
    write_config(
        folder, f"{NAME}{CAMERA if '[camera]' not in more else ''}[preview]\nhttp = '{http}'\nfps = 20\n{more}"
    )
    with service(folder, before=before) as running:
        yield Served(running)


def jpegs(reply: HTTPResponse, count: int) -> list[bytes]:
    """The next pictures of a stream."""
    found = []
    for _ in range(count):
        assert reply.readline() == b"--frame\r\n"
        assert reply.readline() == b"Content-Type: image/jpeg\r\n"
        size = int(reply.readline().split(b":")[1])
        assert reply.readline() == b"\r\n"
        found.append(reply.read(size))
        assert reply.readline() == b"\r\n"
    return found


def test_on_this_machine_without_a_token(folder: Path) -> None:
    with served(folder, "127.0.0.1:0") as device:
        assert "token" not in device.said
        status, text = device.get()
        assert status == 200 and "<title>cam-7</title>" in text and not (folder / "state" / "preview.token").exists()
        stream = device.open("/live")
        first, second = jpegs(stream, 2)
        assert decode_image(first).image.shape[1] <= 640 and decode_image(second).image.any()
        assert 'id="state"' in device.get("/now")[1]
        for path in (
            "/etc/passwd",
            "/../../etc/passwd",
            "/page.html",
            "/page.py",
            "/%2e%2e/page.css",
            "/visits/../../x",
        ):
            assert device.get(path)[0] == 404
        assert device.get(f"/visits/{'0' * 32}")[0] == 404
        assert device.get(Host="evil.example")[0] == 421
        assert device.get("/live", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
        assert device.running.end() == 0


def test_on_the_network_with_a_token(folder: Path) -> None:
    with served(folder, "0.0.0.0:0") as device:
        path = folder / "state" / "preview.token"
        assert path.read_text() == f"{device.token}\n" and path.stat().st_mode & 0o777 == 0o600
        for asked in ("/", "/now", "/live", f"/visits/{'0' * 32}", "/?token=wrong", "/?token=", "/nothing"):
            status, text = device.get(asked)
            assert status == 401 and device.token not in text and "Last look" not in text
        assert device.get("/page.css")[0] == 200
        reply = device.open(f"/?token={device.token}")
        cookie = reply.headers["Set-Cookie"]
        assert reply.status == 200 and "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert "Latest visits" not in reply.read().decode()
        assert device.get(Cookie=cookie.partition(";")[0])[0] == 200
        assert device.get("/now", Authorization=f"Bearer {device.token}")[0] == 200
        assert device.running.end() == 0
    with served(folder, "0.0.0.0:0") as device:
        assert device.token == "" and "its token is in" in device.said


def test_a_token_that_others_may_read_serves_nobody_and_stops_nothing(folder: Path) -> None:
    token = folder / "my.token"
    token.write_text("x" * 43)
    token.chmod(0o644)
    write_config(folder, f"{CAMERA}[preview]\nhttp = '0.0.0.0:0'\ntoken_file = 'my.token'\n")
    with service(folder) as running:
        assert "chmod 600" in running.reads("there is no preview")
        running.hears(lambda word: word.startswith("STATUS=watching; "))
        assert running.end() == 0


def test_a_port_that_is_taken_stops_nothing(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        write_config(folder, f"{CAMERA}[preview]\nhttp = '127.0.0.1:{other.getsockname()[1]}'\n")
        with service(folder) as running:
            assert "the port is taken" in running.reads("there is no preview")
            running.hears(lambda word: word.startswith("STATUS=watching; "))
            assert running.end() == 0


def test_a_viewer_who_never_reads_holds_up_nothing_and_the_end_is_prompt(folder: Path) -> None:
    with served(folder, "127.0.0.1:0") as device, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", device.port))
        slow.sendall(f"GET /live HTTP/1.1\r\nHost: {device.host}\r\n\r\n".encode())
        quick = device.open("/live")
        jpegs(quick, 50)
        assert device.running.end() == 0


def test_more_viewers_than_may(folder: Path) -> None:
    with served(folder, "127.0.0.1:0", "viewers = 1\n") as device:
        first = device.open("/live")
        jpegs(first, 1)
        assert device.get("/live")[0] == 503
        assert device.get("/")[0] == 200


def test_what_is_never_stored_is_not_shown(folder: Path) -> None:
    never = ", ".join(f"never: {label}" for label in open_bundle("trailcam").names)
    rule = f"archive = '10MB, {never}, never above: 0.01'\n"
    more = f"{CAMERA}[preview]\nhttp = '127.0.0.1:0'\n"
    (folder / "edge-sdk.toml").write_text(f"[storage]\nstate_dir = 'state'\n{rule}{more}")
    with service(folder) as running:
        device = Served(running)
        for jpeg in jpegs(device.open("/live"), 3):
            shown = decode_image(jpeg).image
            assert np.median(shown) < 60 and len(np.unique(shown[:100].reshape(-1, 3), axis=0)) < 8
        running.reads("INFO 20")  # a visit
        text = device.get("/now")[1]
        while "<li>" not in text:
            text = device.get("/now")[1]
        assert "not shown: never stored" in text and "<img" not in text
        key = Journal(folder / "state").events()[0].event.event_id
        assert device.get(f"/visits/{key}")[0] == 404


def test_the_camera_is_away(folder: Path) -> None:
    away = "[camera]\naddress = 'photos/?watch=yes'\n"
    with served(folder, "127.0.0.1:0", away) as device:
        device.running.hears(lambda word: word.startswith("STATUS=waiting for the camera: "))
        assert "The camera is away: there is no file or folder" in device.get("/now")[1]
        (jpeg,) = jpegs(device.open("/live"), 1)
        assert decode_image(jpeg).image.max() > 100  # it says that it waits


def test_the_camera_sleeps(folder: Path) -> None:
    asleep = f"{CAMERA}[duty]\nschedule = '03:00 to 03:01'\n"
    at_noon = "import os, time\nos.environ['TZ'] = 'UTC'\ntime.tzset()\nreal = time.time\n"
    at_noon += "time.time = lambda: real() // 86400 * 86400 + 43200\n"
    with served(folder, "127.0.0.1:0", asleep, before=at_noon) as device:
        device.running.reads("asleep at least until")
        assert "Asleep at least until" in device.get("/now")[1]


def test_an_option_goes_over_the_file_and_over_each_reload(folder: Path) -> None:
    import signal
    import subprocess
    import sys

    write_config(folder, f"{CAMERA}[preview]\nhttp = '127.0.0.1:1'\n")
    command = [sys.executable, "-m", "edge_sdk", "run", "--http", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("preview: http://127.0.0.1:" in line for line in process.stderr)
        process.send_signal(signal.SIGHUP)
        assert any("nothing has changed that holds at once" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    refused = subprocess.run([*command[:-1], "8080"], cwd=folder, capture_output=True, text=True)
    assert refused.returncode == 2 and "did you mean 127.0.0.1:8080 or 0.0.0.0:8080?" in refused.stderr


def test_nothing_of_it_is_loaded_unless_asked_for(folder: Path) -> None:
    write_config(folder, "[camera]\naddress = 'simulated://trailcam?seed=1&frames=3'\n")
    look = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(sorted({'http.server', 'edge_sdk.preview.preview'} & set(sys.modules)), "
        "file=sys.stderr))\n"
    )
    with service(folder, before=look) as running:
        _, errors = running.process.communicate()
        assert errors.splitlines()[-1] == "[]"


@needs_chromium
@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_sees_it(folder: Path, dark: bool, tmp_path: Path) -> None:
    with served(folder, "0.0.0.0:0", "[budgets]\nupload = '5MB/day'\n") as device, chromium(tmp_path) as page:
        page.look(*PHONE, dark=dark)
        page.open(f"http://{device.host}/?token={device.token}")
        page.wait("location.search === '' && document.getElementById('live').naturalWidth > 300")
        page.wait("document.querySelectorAll('#visits li').length > 0")
        page.wait("[...document.querySelectorAll('#visits img')].every(one => one.complete && one.naturalWidth > 0)")
        page.screenshot(tmp_path / "page.png", whole=True)
        assert page.run("document.documentElement.scrollWidth") <= PHONE[0]
        assert page.run("document.cookie") == ""
        assert page.faults() == []
        background = page.run("getComputedStyle(document.body).backgroundColor")
        assert (int(background.strip("rgb()").split(",")[0]) < 64) is dark
        before = page.run("document.getElementById('health').innerText")
        assert "Memory" in before
        assert device.running.end() == 0
        page.wait("document.getElementById('state').textContent === 'The device does not answer'")


@needs_chromium
def test_the_page_finds_a_device_that_was_started_again(folder: Path, tmp_path: Path) -> None:
    with chromium(tmp_path) as page:
        page.look(*PHONE)
        with served(folder, "127.0.0.1:0") as device:
            port = device.port
            page.open(f"http://{device.host}/")
            page.wait("document.getElementById('live').naturalWidth > 300")
            assert device.running.end() == 0
        page.wait("document.body.classList.contains('lost')")
        with served(folder, f"127.0.0.1:{port}") as device:
            page.wait("!document.body.classList.contains('lost')")
            page.wait("document.getElementById('state').dataset.looking === 'yes'")
