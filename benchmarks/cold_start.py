"""Process start to first answer, and the memory that is held then: ours, bare Python's, and the official package's.

    python benchmarks/cold_start.py [--bundle trailcam] [--repeats 9]

Each run is a fresh interpreter. The little model's opens the bundle (checksum and golden picture included), with OpenCV
and grpc imported, and classifies one 640x480 picture; the device's is all of `EdgeClassifier`, with its store on the
disk and the motion gate. Bare Python, and Python that imports numpy and OpenCV alone, show what of this is anybody's.
All run alternately. The table gives medians and the fastest run; the ratio is that of the medians of processor time,
which other programs disturb least. With `--official` the executorch package and torch must be installed too
(`pip install ".[runtime]"`).
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
import cv2, grpc, numpy as np, time
from edge_sdk.model.little import LittleModel
model = LittleModel({bundle!r})
image = cv2.resize(np.arange(256, dtype=np.uint8).reshape(16, 16), (640, 480))
print(model.predict(np.dstack([image] * 3)).label, time.process_time(), sep="|", flush=True)
print(open("/proc/self/status").read())
"""
DEVICE = """
import cv2, numpy as np, tempfile, time
from edge_sdk import EdgeClassifier, Frame, MotionGate
image = cv2.resize(np.arange(256, dtype=np.uint8).reshape(16, 16), (640, 480))
with tempfile.TemporaryDirectory() as state, EdgeClassifier({bundle!r}, state_dir=state, gate=MotionGate()) as edge:
    for frame, answer in edge.watch([Frame(np.dstack([image] * 3))]):
        print(answer.label, time.process_time(), sep="|", flush=True)
    print(open("/proc/self/status").read())
"""
IMPORTS = """
import time
import numpy, cv2
print("-", time.process_time(), sep="|", flush=True)
print(open("/proc/self/status").read())
"""
BARE = IMPORTS.replace("import numpy, cv2", "pass")
# What the import system does where the compiled module is absent: LittleModel then runs on executorch.runtime.
WITHOUT_NATIVE = "import sys; sys.modules['edge_sdk._native'] = None\n"


def run(code: str) -> tuple[float, float, float, float, str]:
    """One fresh process: seconds until the answer, of these the processor's; MB resident at the end and at the peak."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        label, _, processor_s = process.stdout.readline().strip().partition("|")
        seconds = time.perf_counter() - start
        status = dict(line.split(":", 1) for line in process.stdout.read().splitlines() if ":" in line)
    if not label or process.returncode:
        raise SystemExit(f"a run failed; see what this prints:\n{sys.executable} -c '''{code}'''")
    memory = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return seconds, float(processor_s), *memory, label  # type: ignore[return-value]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="trailcam", help="a bundle's folder, or the name of one that ships")
    parser.add_argument("--repeats", type=int, default=9, help="runs of each")
    parser.add_argument("--official", action="store_true", help="the executorch package too")
    options = parser.parse_args()
    ours = CHILD.format(bundle=options.bundle)
    codes = {
        "python": BARE,
        "python, numpy and OpenCV": IMPORTS,
        "little model": ours,
        "device": DEVICE.format(bundle=options.bundle),
    }
    if options.official:
        codes["little model on executorch.runtime"] = WITHOUT_NATIVE + ours
    runs: dict[str, list[tuple[float, float, float, float, str]]] = {name: [] for name in codes}
    for repeat in range(options.repeats + 1):
        for name, code in codes.items():
            result = run(code)
            if repeat:  # the first fills the page cache
                runs[name].append(result)
    answers = {result[4] for results in runs.values() for result in results} - {"-"}
    if len(answers) > 1:
        raise SystemExit(f"expected one answer from all; got {sorted(answers)}")
    medians = {
        name: [statistics.median(float(r[i]) for r in results) for i in range(4)] for name, results in runs.items()
    }
    fastest = {name: min(result[0] for result in results) for name, results in runs.items()}
    table = Table(title=f"Cold start, {platform.machine()}, medians of {options.repeats} alternating runs")
    for column in (
        "",
        "start to first answer",
        "fastest",
        "processor time",
        "times numpy and OpenCV",
        "resident",
        "peak",
    ):
        table.add_column(column, justify="right" if column else "left")
    for name, (seconds, processor_s, resident, peak) in medians.items():
        times = processor_s / medians["python, numpy and OpenCV"][1]
        table.add_row(
            name,
            f"{seconds:.3f} s",
            f"{fastest[name]:.3f} s",
            f"{processor_s:.3f} s",
            f"{times:.2f}",
            f"{resident:.0f} MB",
            f"{peak:.0f} MB",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
