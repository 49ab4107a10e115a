"""What the README promises on its first screen."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from cloud_server.local import start_local_server

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def test_the_embedding_example_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "127.0.0.1:50051" in code
    with start_local_server() as target:
        script = tmp_path / "example.py"
        script.write_text(code.replace("127.0.0.1:50051", target))
        done = subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            timeout=120,
            env={"XDG_STATE_HOME": str(tmp_path), "PATH": ""},
        )
    assert done.returncode == 0, done.stderr
    assert "Answer(" in done.stdout
    assert "Usage(" in done.stdout


def test_its_commands_and_pages_are_there() -> None:
    root = Path(__file__).resolve().parent.parent
    for path in re.findall(r"^(scripts/\w+)", README, re.MULTILINE) + re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (root / path).exists(), path
