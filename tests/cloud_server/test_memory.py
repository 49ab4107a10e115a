from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FREED = """
import os, sys
from cloud_server.memory import return_large_blocks
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
returns = return_large_blocks()
for size in range(1, 30):  # glibc raises its own threshold when it has freed such blocks
    del bytearray(b"x" * (size << 20))[:]
before = resident()
blocks = [(b"x" * (4 << 20), b"x" * (1 << 19)) for _ in range(20)]
blocks = [small for _, small in blocks]
print(returns, resident() - before < 24 << 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_large_blocks_go_back_to_the_system_between_small_ones_that_stay() -> None:
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
