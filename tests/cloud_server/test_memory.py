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


KEPT = """
import resource, torch
from cloud_server.memory import FEW_FAULTS, keep_blocks_of, return_large_blocks
torch.set_num_threads(1)
return_large_blocks()
x = torch.rand(8, 16, 128, 128)
def run():
    y = x
    for _ in range(4):
        y = (y + 1) * 2
    return y
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 5
run()
mapped = faults()
keep_blocks_of(run)
faults()
print(mapped > 10 * FEW_FAULTS, faults() <= FEW_FAULTS)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_what_runs_again_and_again_keeps_its_memory() -> None:
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


TRIMMED = """
from cloud_server.memory import GROWTH_BYTES, Trimmer, resident_bytes, return_large_blocks
return_large_blocks(64 << 20)
trimmer = Trimmer()
assert not trimmer.look()
blocks = [(b"x" * (2 << 20), b"x" * 100_000) for _ in range(2 * GROWTH_BYTES >> 21)]
blocks = [small for _, small in blocks]  # gaps of 2 MiB between small blocks
grown = resident_bytes()
print(trimmer.look(), resident_bytes() < grown - GROWTH_BYTES, trimmer.look())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_gaps_are_given_back_when_the_process_has_grown() -> None:
    done = subprocess.run([sys.executable, "-c", TRIMMED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]
