"""docs/architecture.md describes what stands: every module, every thread and lock."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
SOURCES = [
    path
    for package in ("edge_sdk", "cloud_server")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "_pb2" not in path.name
]
THREADS_AND_LOCKS = {
    "threading": {"Thread", "Timer", "Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore"},
    "asyncio": {"Lock", "Semaphore", "Condition", "new_event_loop", "to_thread"},
    "concurrent.futures": {"ThreadPoolExecutor", "ProcessPoolExecutor"},
    "multiprocessing": {"get_context", "Process", "Pool", "Lock"},
}
NAMES = {name for names in THREADS_AND_LOCKS.values() for name in names}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def makes_threads_or_locks(path: Path) -> bool:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in THREADS_AND_LOCKS:
            imported |= {alias.name for alias in node.names} & THREADS_AND_LOCKS[node.module]
        elif isinstance(node, ast.Call):
            call = node.func
            if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name):
                if call.attr in THREADS_AND_LOCKS.get(call.value.id, ()):
                    return True
            elif isinstance(call, ast.Name) and call.id in imported:
                return True
    return False


def test_every_thread_and_lock_is_listed_and_no_other() -> None:
    made = {path.relative_to(ROOT).as_posix() for path in SOURCES if makes_threads_or_locks(path)}
    told = set(re.findall(r"`((?:edge_sdk|cloud_server)/[\w/]+\.py)`", section("Threads and locks")))
    assert told == made, f"not on the page: {sorted(made - told)}; on the page alone: {sorted(told - made)}"


def test_every_module_has_its_line_and_no_other() -> None:
    told: set[str] = set()
    for block in re.findall(r"```text\n(.*?)```", section("The house"), re.DOTALL):
        folder = ""
        for line in block.splitlines():
            head = line.split(maxsplit=1)[0] if line.strip() else ""
            if head.endswith("/"):
                folder = head
            elif head:
                told.add(f"{folder}{head}.py")
    there = {path.relative_to(ROOT).as_posix() for path in SOURCES if not path.name.startswith("__")}
    assert told == there, f"not on the page: {sorted(there - told)}; on the page alone: {sorted(told - there)}"
