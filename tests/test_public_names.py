"""The public surface, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import edge_sdk

UNUSED = ("asyncio", "ssl", "grpc", "importlib.metadata", "email", "click", "rich")
HEAVY = ("torch", "timm", "torchvision", "pandas", "executorch", "matplotlib")
DEVICE_MODULES = [
    f"edge_sdk.{name}"
    for name in (
        "alerts.alerts",
        "pipeline.classifier",
        "link.uplink",
        "camera",
        "cli",
        "report.run",
        "model.little",
        "store.spool",
        "budget.ledger",
    )
]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_public_name_is_there_and_listed_in_order() -> None:
    assert list(edge_sdk.__all__) == sorted(edge_sdk.__all__)
    for name in edge_sdk.__all__:
        assert getattr(edge_sdk, name) is not None
        assert name in dir(edge_sdk)
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = edge_sdk.nothing_like_this


def test_importing_the_package_loads_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import edge_sdk; print(sorted(set(sys.modules) - before - {'typing'}))"
    )
    loaded = run(code)
    assert "numpy" not in loaded
    assert "cv2" not in loaded


def test_a_device_without_a_cloud_loads_no_network_code() -> None:
    code = "import sys, edge_sdk.pipeline.classifier; print([n for n in UNUSED if n in sys.modules])"
    assert run(f"UNUSED = {UNUSED!r}; {code}") == "[]"


@pytest.mark.parametrize("module", DEVICE_MODULES)
def test_the_device_never_loads_the_workbench(module: str) -> None:
    loaded = run(f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])")
    assert loaded == "[]"
    assert run(f"import sys, {module}; print('edge_sdk.workbench' in sys.modules)") == "False"
