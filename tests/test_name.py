"""The distribution is `edge-cascade`: on the package index, `edge-sdk` belongs to others."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Until it is published, people install a checkout (`pip install ".[workbench]"`) or a wheel file.
FROM_AN_INDEX = re.compile(
    r"\b(?:pip|pipx|uv|poetry)\s+(?:install|add)\b[^\n`]*?[\s\"'](?:edge[-_]sdk|edge[-_]cascade)(?![\w./+*-]*\.whl)"
)


def texts() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.splitlines()]
    else:  # an unpacked sdist
        paths = [path for path in ROOT.rglob("*") if ".venv" not in path.parts]
    return [p for p in paths if p.suffix in {".py", ".md", ".toml", ".yml", ".yaml", ".sh", ".cpp", ""} and p.is_file()]


def test_no_text_installs_the_bare_name_from_an_index() -> None:
    found = []
    for path in texts():
        if path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if FROM_AN_INDEX.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found


def test_the_pattern_knows_what_it_looks_for() -> None:
    assert FROM_AN_INDEX.search("pip install 'edge-sdk[cloud]'")
    assert FROM_AN_INDEX.search("run pip install edge-cascade")
    assert not FROM_AN_INDEX.search('pip install ".[workbench]"')
    assert not FROM_AN_INDEX.search("pip install dist/edge_cascade-0.1.0-cp311-abi3-linux_x86_64.whl")


def test_the_distribution_has_a_name_of_its_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "edge-cascade"
    assert set(project["scripts"]) == {"edge-sdk", "cloud-server"}
