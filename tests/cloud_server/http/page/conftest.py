"""A real server with its page, one for the session; a browser for a test: Playwright's loop bears none beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import PROGRAM
from fleet_parts import fleet_server
from page_parts import Fleet, options_of, tell


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with fleet_server(folder, str(checkpoint), *options_of(folder)) as server:
        cameras = {name: server.camera(name) for name in ("ridge", "ford")}
        yield Fleet(server, cameras, tell(list(cameras.values())))


@pytest.fixture
def browser() -> Iterator[Any]:
    if PROGRAM is None:
        pytest.skip("no chromium: sudo apt install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"], timeout=0)
        yield opened
        opened.close()
