"""Room for further files, in a process of its own that may open few."""

from __future__ import annotations

import subprocess
import sys

from edge_sdk.link.descriptors import TOO_MANY_FILES, full_table

FULL = """
import os, resource
from edge_sdk.link.descriptors import full_table
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
while (full := full_table(2)) is None:
    held.append(os.open(os.devnull, os.O_RDONLY))
assert isinstance(full, ConnectionError)
assert full_table() is None  # what was opened to look was closed again
os.close(held.pop())
assert full_table(2) is None
print(full)
"""


def test_the_table_of_files_has_room() -> None:
    assert full_table() is None


def test_a_full_table_is_told_and_room_is_found_again() -> None:
    said = subprocess.run([sys.executable, "-c", FULL], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == TOO_MANY_FILES
