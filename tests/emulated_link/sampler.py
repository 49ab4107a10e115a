"""What an interface sends, sampled from outside the program that sends, and the most in any window of a period.

    python sampler.py INTERFACE

prints, every 20 ms until its stdin ends, the time before and after the reading, and the bytes sent so far.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulated_link.namespaces import Side

EVERY_S = 0.02


@dataclass(frozen=True)
class Sample:
    """Bytes sent by some moment between `before_s` and `after_s` (steady clock)."""

    before_s: float
    after_s: float
    sent: int


def most_in_a_window(samples: Sequence[Sample], period_s: float) -> int:
    """The most bytes sent between two samples that certainly lie within one window of `period_s` seconds."""
    most, first = 0, 0
    for last in range(len(samples)):
        while samples[last].after_s - samples[first].before_s > period_s:
            first += 1
        most = max(most, samples[last].sent - samples[first].sent)
    return most


@contextmanager
def sampling(side: Side) -> Iterator[list[Sample]]:
    """Sample while the block runs; the list is filled at its end."""
    samples: list[Sample] = []
    process = side.start(__file__, side.interface)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield samples
    finally:
        said, _ = process.communicate()
        for line in said.splitlines():
            before, after, sent = line.split()
            samples.append(Sample(float(before), float(after), int(sent)))


def main() -> None:
    counter = Path(f"/sys/class/net/{sys.argv[1]}/statistics/tx_bytes")
    print("ready", flush=True)
    samples = []
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:
        before = time.monotonic()
        sent = int(counter.read_text())
        samples.append(f"{before:.6f} {time.monotonic():.6f} {sent}")
    print("\n".join(samples))


if __name__ == "__main__":
    main()
