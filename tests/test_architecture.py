"""Imports point one way (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKSTATION = {"torch", "timm", "torchvision", "torchao", "pandas", "executorch", "cloud_server"}
CLOUD_MAY_IMPORT = {
    "edge_sdk.types",
    "edge_sdk.errors",
    "edge_sdk.wire",
    "edge_sdk.workbench.checkpoint",
    "edge_sdk.workbench.timm_library",
    "edge_sdk.workbench.sequence",
    "edge_sdk.bundle",
    "edge_sdk.model",
    "edge_sdk.copies",
    "edge_sdk.database",
    "edge_sdk.security",
    "edge_sdk.tokens",
}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(folder: str) -> list[Path]:
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if "_pb2" not in path.name]


DEVICE = [path for path in sources("edge_sdk") if "workbench" not in path.parts]


@pytest.mark.parametrize("path", DEVICE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_device_imports_neither_torch_nor_workbench_nor_cloud(path: Path) -> None:
    found = list(imports(path))
    assert not {name.split(".")[0] for name in found} & WORKSTATION
    assert not [name for name in found if name.startswith("edge_sdk.workbench")]


@pytest.mark.parametrize("path", sources("edge_sdk/workbench"), ids=lambda path: path.name)
def test_the_workbench_does_not_import_the_cloud(path: Path) -> None:
    assert not [name for name in imports(path) if name.startswith("cloud_server")]


@pytest.mark.parametrize("path", sources("cloud_server"), ids=lambda path: path.name)
def test_the_cloud_imports_little_of_the_device(path: Path) -> None:
    modules = {name for name in imports(path) if name.startswith("edge_sdk")}
    outside = [name for name in modules if not any(name == ok or name.startswith(ok + ".") for ok in CLOUD_MAY_IMPORT)]
    assert set(outside) <= {"edge_sdk"}


def test_the_leaf_modules_do_not_import_the_pipeline() -> None:
    above = {"pipeline", "report", "cli", "display", "summary", "scorecard", "__main__"}
    for path in DEVICE:
        if path.stem in above or path.name == "__init__.py":
            continue
        for name in imports(path):
            assert name.removeprefix("edge_sdk.") not in above, f"{path.name} imports {name}"
