"""Every Python block of the README and the docs runs as it is written.

The blocks of a page run one after the other in one fresh interpreter, in a folder that holds what the page takes for
granted (`belongings`). Where a page dials 127.0.0.1:50051 a real server answers. Two marks, which readers do not see:

    <!-- setup          code that the page leaves out: it runs in its place among the blocks
    ...
    -->
    ```python notest    a block that no test machine can run; the comment before it says why
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^(?P<indent> *)```python(?P<notest> notest)?\n(?P<code>.*?)^ *```$", re.DOTALL | re.MULTILINE)
SETUP = re.compile(r"^<!-- setup\n(?P<code>.*?)^-->$", re.DOTALL | re.MULTILINE)
CLOUD = "127.0.0.1:50051"


def script_of(page: str) -> str:
    """The page's Python, each line with the number it has on the page, so that a traceback names the right one."""
    lines = [""] * (page.count("\n") + 2)
    for match in [*FENCE.finditer(page), *SETUP.finditer(page)]:
        if match.groupdict().get("notest"):
            continue
        first = page.count("\n", 0, match.start("code"))
        for number, line in enumerate(textwrap.dedent(match["code"]).splitlines()):
            lines[first + number] = line
    return "\n".join(lines).rstrip() + "\n"


def with_python() -> list[Path]:
    return [page for page in PAGES if script_of(page.read_text()).strip()]


@pytest.mark.parametrize("page", with_python(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page: Path, belongings: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    code = script_of(page.read_text())
    if CLOUD in code:
        code = code.replace(CLOUD, request.getfixturevalue("cloud"))
    folder = tmp_path / "here"
    shutil.copytree(belongings, folder)
    script = tmp_path / f"{page.stem}.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env={"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"{page.relative_to(ROOT)}: a line of the script is the same line of the page\n{done.stderr}"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_that_does_not_run_says_why_and_names_what_is_there(page: Path) -> None:
    text = page.read_text()
    for match in FENCE.finditer(text):
        if not match["notest"]:
            continue
        assert text[: match.start()].rstrip().endswith("-->"), "a comment before the block must say why it cannot run"
        for node in ast.walk(ast.parse(textwrap.dedent(match["code"]))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("edge_sdk", "cloud_server")):
                module = import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_no_block_hides_behind_another_name_of_the_language() -> None:
    for page in PAGES:
        assert not re.search(r"^ *```(?:py|python3|pycon)\b", page.read_text(), re.MULTILINE), page


NUMBERED = """\
# Title

```python
a = 1
```

<!-- setup
b = 2
-->

1. item

    ```python
    c = a + b
    ```

```python notest
raise
```
"""


def test_lines_keep_their_numbers() -> None:
    lines = script_of(NUMBERED).splitlines()
    assert (lines[3], lines[7], lines[13]) == ("a = 1", "b = 2", "c = a + b")
    assert "raise" not in lines
