"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine makes no test wrong.
settings.register_profile("no deadlines", deadline=None)
settings.load_profile("no deadlines")

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("EDGE_SDK_DATA", REPOSITORY.parent / "shared" / "data"))

# Coverage is measured of the device, by its own tests: tracing would make the workbench's tests 40% longer.
OF_THE_DEVICE = {
    "alerts",
    "budget",
    "camera",
    "cli",
    "device_config",
    "doctor",
    "duty",
    "durable",
    "fleet",
    "formats",
    "images",
    "link",
    "model",
    "native",
    "pipeline",
    "preview",
    "report",
    "security",
    "service",
    "store",
    "systemd",
    "terminal",
    "testing",
}


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The optional folder of real photos and video; tests that use it are marked `data`."""
    if not DATA.is_dir():
        pytest.skip(f"no data folder at {DATA}: set EDGE_SDK_DATA to run this test on real photos and video")
    return DATA


def pytest_configure() -> None:
    """Let tests interrupt what they start: a shell's background jobs inherit an ignored SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out unless `-m` names them."""
    if config.getoption("-m"):
        return
    slow = pytest.mark.skip(reason="slow: run with `pytest -m slow`")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Measure no coverage (`--cov`) while a test that is not the device's own runs, with its fixtures."""
    controller = getattr(item.config.pluginmanager.get_plugin("_cov"), "cov_controller", None)
    if controller is None or item.path.relative_to(Path(__file__).parent).parts[0] in OF_THE_DEVICE:
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=2000, metavar="N", help="hostile requests to send to a server")
