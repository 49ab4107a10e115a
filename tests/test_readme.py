"""What the README promises on its first screen. Its Python runs in tests/docs/test_blocks.py."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
FIRST_SCREEN = "\n".join(README.splitlines()[:36])


def test_the_first_screen_shows_the_product() -> None:
    assert "git clone" in FIRST_SCREEN
    assert "scripts/demo" in FIRST_SCREEN
    (code,) = re.findall(r"```python\n(.*?)```", FIRST_SCREEN, re.DOTALL)
    assert "EdgeClassifier" in code
    assert len(code.splitlines()) <= 10


def test_it_says_what_the_shipped_model_is_trained_on() -> None:
    words = " ".join(README.split())
    assert "trained on rendered pictures of a simulated trail camera" in words
    assert "does not know real animals" in words


def test_its_commands_and_pages_are_there() -> None:
    for path in re.findall(r"^(scripts/\w+)", README, re.MULTILINE):
        assert os.access(ROOT / path, os.X_OK), path
    for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        for path in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / page).read_text()):
            assert (ROOT / path).exists(), f"{page}: {path}"
