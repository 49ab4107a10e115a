"""Process start to first answer, and the memory that is held then: ours against the official executorch package.

    python benchmarks/cold_start.py [--bundle trailcam] [--repeats 9]

Each run is a fresh interpreter that imports OpenCV and grpc, opens the bundle (checksum and golden picture included)
and classifies one 640x480 picture. The two run alternately; the table gives medians. The official package and torch
must be installed too: `pip install ".[runtime]"`.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

CHILD = """
import cv2, grpc, numpy as np
from edge_sdk.model.little import LittleModel
model = LittleModel({bundle!r})
image = cv2.resize(np.arange(256, dtype=np.uint8).reshape(16, 16), (640, 480))
print(model.predict(np.dstack([image] * 3)).label, flush=True)
print(open("/proc/self/status").read())
"""
# What the import system does where the compiled module is absent: LittleModel then runs on executorch.runtime.
WITHOUT_NATIVE = "import sys; sys.modules['edge_sdk._native'] = None\n"


def run(code: str) -> tuple[float, float, float, str]:
    """One fresh process: seconds until the answer, MB resident at the end, MB at the peak, the answer."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        label = process.stdout.readline().strip()
        seconds = time.perf_counter() - start
        status = dict(line.split(":", 1) for line in process.stdout.read().splitlines() if ":" in line)
    if not label or process.returncode:
        raise SystemExit(f"a run failed; see what this prints:\n{sys.executable} -c '''{code}'''")
    return seconds, int(status["VmRSS"].split()[0]) / 1024, int(status["VmHWM"].split()[0]) / 1024, label


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="trailcam", help="a bundle's folder, or the name of one that ships")
    parser.add_argument("--repeats", type=int, default=9, help="runs of each")
    options = parser.parse_args()
    ours = CHILD.format(bundle=options.bundle)
    codes = {"edge_sdk._native": ours, "executorch.runtime": WITHOUT_NATIVE + ours}
    runs: dict[str, list[tuple[float, float, float, str]]] = {name: [] for name in codes}
    for repeat in range(options.repeats + 1):
        for name, code in codes.items():
            result = run(code)
            if repeat:  # the first fills the page cache
                runs[name].append(result)
    answers = {result[3] for results in runs.values() for result in results}
    if len(answers) > 1:
        raise SystemExit(f"expected one answer from both; got {sorted(answers)}")
    medians = {
        name: [statistics.median(float(r[i]) for r in results) for i in range(3)] for name, results in runs.items()
    }
    table = Table(title=f"Cold start, {platform.machine()}, medians of {options.repeats} alternating runs")
    for column in ("", "start to first answer", "resident", "peak"):
        table.add_column(column, justify="right" if column else "left")
    for name, (seconds, resident, peak) in medians.items():
        table.add_row(name, f"{seconds:.3f} s", f"{resident:.0f} MB", f"{peak:.0f} MB")
    ratios = [ours / theirs for ours, theirs in zip(*medians.values(), strict=True)]
    table.add_row("ratio", *(f"1/{1 / ratio:.1f}" for ratio in ratios))
    Console().print(table)


if __name__ == "__main__":
    main()
