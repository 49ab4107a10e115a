"""Real headless Chromium, told what to do over its pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE = (390, 844)
_MOST_S = 600.0
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="no chromium: sudo apt install chromium")


class Page:
    """One tab."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    _session = ""

    def do(self, method: str, **values: Any) -> dict[str, Any]:
        """Send a command, and wait for what it gives."""
        said = self._said(method, values)
        assert "error" not in said, said
        result: dict[str, Any] = said.get("result", {})
        return result

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a phone or a screen, light or dark."""
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.do("Emulation.setEmulatedMedia", features=features)

    def open(self, url: str) -> None:
        """Go there; a picture that never ends does not keep it."""
        self.do("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """What a script gives, once what it promises is there."""
        found = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until a script's expression holds, on whichever page the browser comes to."""
        script = (
            "new Promise(done => setTimeout(() => { let holds = false; "
            f"try {{ holds = Boolean({condition}); }} catch {{}} done(holds); }}, 50))"
        )
        end_s = monotonic() + _MOST_S
        while monotonic() < end_s:
            said = self._said("Runtime.evaluate", {"expression": script, "awaitPromise": True, "returnByValue": True})
            if said.get("result", {}).get("result", {}).get("value") is True:
                return
        raise AssertionError(f"expected {condition} within {_MOST_S:.0f} s")

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """What is seen, as PNG; `whole`: to the page's end."""
        clip: dict[str, Any] = {}
        if whole:
            size = self.do("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {**size, "scale": 1}, "captureBeyondViewport": True}
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot", format="png", **clip)["data"]))

    def faults(self) -> list[str]:
        """What the browser complained of: scripts, styles and pictures that a policy refused, errors."""
        found = [event for event in self.events if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]
        return [json.dumps(event["params"]) for event in found]

    def _said(self, method: str, values: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (said := self._next()).get("id") != self._number:
            self.events.append(said)
        return said

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._read, 1 << 16)
            assert part, "chromium has ended"
            self._rest += part
        whole, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(whole)
        return said


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A browser with an empty profile in `folder`, and one tab."""
    assert PROGRAM is not None
    theirs_read, ours_write = os.pipe()
    ours_read, theirs_write = os.pipe()
    os.set_inheritable(theirs_read, True)
    os.set_inheritable(theirs_write, True)
    program = (
        "import fcntl, os, sys\n"
        "read, write = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3])\n"
        "os.dup2(read, 3); os.dup2(write, 4)\n"
        "os.execv(sys.argv[3], sys.argv[3:])\n"
    )
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
             "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}")  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", program, str(theirs_read), str(theirs_write), PROGRAM, *flags],
        pass_fds=(theirs_read, theirs_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs_read)
        os.close(theirs_write)
        try:
            yield Page(ours_write, ours_read)
        finally:
            process.terminate()
            process.wait()
            os.close(ours_write)
            os.close(ours_read)
