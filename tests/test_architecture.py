"""Imports point one way: each package sees only what stands before it (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (
    {"edge_sdk.errors", "edge_sdk.redaction", "edge_sdk.wire", "edge_sdk._native"},
    {"edge_sdk.types", "edge_sdk.durable", "edge_sdk.terminal"},
    {"edge_sdk.security", "edge_sdk.archive_rule", "edge_sdk.systemd"},
    {"edge_sdk.config"},
    {"edge_sdk.images", "edge_sdk.budget"},
    {"edge_sdk.store"},
    {"edge_sdk.camera", "edge_sdk.model", "edge_sdk.link"},
    {"edge_sdk.networks", "edge_sdk.fleet", "edge_sdk.duty"},
    {"edge_sdk.pipeline", "edge_sdk.workbench"},
    {"edge_sdk.report", "edge_sdk.formats", "edge_sdk.alerts", "edge_sdk.preview", "cloud_server"},
    {"edge_sdk.device_config"},
    {"edge_sdk.doctor", "edge_sdk.service"},
    {"edge_sdk.cli", "edge_sdk.testing"},
    {"edge_sdk.__main__", "edge_sdk.bundle"},
)
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
WORKSTATION = {"torch", "timm", "torchvision", "torchao", "pandas", "executorch", "torch_pruning", "safetensors"}
WITH_TORCH = ("edge_sdk.networks", "edge_sdk.workbench", "cloud_server")


def module_of(path: Path) -> str:
    """`edge_sdk/store/spool.py` -> `edge_sdk.store.spool`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def package_of(module: str) -> str:
    """The name that stands in `LAYERS`: the first two parts, or `cloud_server`."""
    parts = module.split(".")
    return parts[0] if parts[0] == "cloud_server" else ".".join(parts[:2])


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


SOURCES = [
    path
    for folder in ("edge_sdk", "cloud_server")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "_pb2" not in path.name and path != ROOT / "edge_sdk" / "__init__.py"  # it names what others hold, lazily
]


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_package_imports_only_what_stands_before_it(path: Path) -> None:
    home = package_of(module_of(path))
    level = LEVEL[home]  # a KeyError: a new package has no place in the order yet
    for name in imports(path):
        package = package_of(name)
        if package.split(".")[0] not in ("edge_sdk", "cloud_server") or package in (home, "edge_sdk.__version__"):
            continue
        assert LEVEL.get(package, len(LAYERS)) < level, f"{module_of(path)} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_only_networks_workbench_and_cloud_import_torch(path: Path) -> None:
    if not module_of(path).startswith(WITH_TORCH):
        assert not {name.split(".")[0] for name in imports(path)} & WORKSTATION
