"""Kill a device again and again, spoil its link, its server and its disk, and count what is lost or counted twice.

    python benchmarks/soak.py --cycles 1000 --seed 1
    pip install --target /tmp/pq persist-queue && python benchmarks/soak.py --persist-queue /tmp/pq

Each cycle starts a device process on the same state, does one thing of `FAULTS` to it, and ends it by SIGKILL. At the
end the device drains, and what was promised is compared with the journal.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from soaking.faults import (
    PAGE_FAULTS,
    all_entries,
    cut_short,
    databases,
    fill_up,
    final_answers,
    flip_bit,
    restore_table,
    save_table,
    small_disk,
)
from soaking.link import Relay

from edge_sdk.errors import StorageError
from edge_sdk.types import Origin, Reason

FAULTS = {
    "none": 4,
    "killed while starting": 3,
    "server killed": 2,
    "server killed before the reply": 3,
    "server restarted": 2,
    "connection cut": 3,
    "half-open": 2,
    "replies reordered": 2,
    "clock back a year": 2,
    "disk full": 2,
    "page of a frame": 3,
    "page of a database": 3,
    "frame cut short": 2,
    "database cut short": 2,
    "stale table": 2,
    "bit flip in a frame": 1,
    "bit flip in a database": 1,
}
YEAR_S = 365 * 86_400
DISK_MB = 256


@dataclass
class Tally:
    """What a run counted.

    Attributes:
        cycles: device processes killed.
        promised: frames reported as waiting.
        cloud: of these, answered by the cloud.
        device: of these, the device's answer is final, by reason.
        waiting: frames that still wait after the drain; -1: the device did not start any more.
        provisional: of the promised, neither.
        hit: of these, their own picture was hit by a fault while they waited, and the device's answer is final.
        destroyed: of these, their final answer was in the table when a fault hit it, and is gone, or the device's.
        lost: of these, neither: unknown to the journal, or said to be damaged though nothing hit them.
        twice: answers counted or recorded more than once.
        inferences: runs of the big model.
        repeated: runs of it on a frame that an earlier run had answered: the server was killed in between.
        bad_starts: device processes that ended by themselves.
        unreadable: why the journal could not be read at the end, and so nothing of the above could be told from it.
        faults: cycles by fault.
    """

    cycles: int = 0
    promised: int = 0
    cloud: int = 0
    device: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    provisional: int = 0
    hit: int = 0
    destroyed: int = 0
    lost: int = 0
    twice: int = 0
    inferences: int = 0
    repeated: int = 0
    bad_starts: int = 0
    unreadable: str = ""
    faults: dict[str, int] = field(default_factory=dict)


class Soak:
    """One device, one server, one link, in a work folder.

    Args:
        work: the folder.
        program: the device's module.
        path: where further packages are, or None.
    """

    def __init__(self, work: Path, program: str, path: str | None = None) -> None:
        self.work, self.state, self._program = work, work / "state", program
        self._paths = [str(Path(__file__).parent), *([path] if path else [])]
        self.faults: Counter[str] = Counter()
        self.hit: set[str] = set()
        self.destroyed: set[str] = set()
        self.bad_starts = 0
        self._shuffled = False

    def start_process(self, module: str, *arguments: object, offset_s: float = 0.0) -> subprocess.Popen[str]:
        """A Python module as a process; its stderr goes to a log in the work folder."""
        places = [*self._paths, os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
        environment |= {"SOAK_CLOCK_OFFSET_S": str(offset_s), "OMP_NUM_THREADS": "1"}
        with (self.work / f"{module}.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run relay and server."""
        with Relay(free_port()) as self.relay:
            self._start_server()
            try:
                yield
            finally:
                end(self.server)

    def _start_server(self) -> None:
        self.server = self.start_process("soaking.server", self.relay._server_port, self.work / "inferences")
        assert self.server.stdout is not None
        if self.server.stdout.readline() != "ready\n":
            raise SystemExit("the soak's server did not start; see the log in the work folder")

    def _restart_server(self) -> None:
        end(self.server)
        self._shuffled = False
        self._start_server()

    def device(self, *more: object, seed: int = 0, offset_s: float = 0.0) -> subprocess.Popen[str]:
        """The device, just started; `offset_s` shifts its wall clock."""
        arguments = (self.state, self.relay.port, self.work / "promised", seed, *more)
        return self.start_process(self._program, *arguments, offset_s=offset_s)

    def cycle(self, number: int, seed: int, faults: dict[str, int]) -> None:
        """One life of the device."""
        chance = random.Random(f"{seed} {number}")
        (fault,) = chance.choices(list(faults), list(faults.values()))
        self.faults[fault] += 1
        if self.server.poll() is not None:
            self._restart_server()
        if (fault == "replies reordered") != self._shuffled:
            self.server.send_signal(signal.SIGUSR1)
            self._shuffled = not self._shuffled
        save_table(self.state, self.work / "earlier")
        device = self.device(seed=number, offset_s=-YEAR_S if fault == "clock back a year" else 0.0)
        assert device.stdout is not None
        if fault == "killed while starting":
            time.sleep(chance.uniform(0.0, 0.6))
        else:
            device.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.3))
            self._spoil_running(fault)
            time.sleep(chance.uniform(0.0, 0.5))
        if device.poll() is not None:
            self.bad_starts += 1
        end(device)
        self.relay.swallows = False
        (self.state / "filler").unlink(missing_ok=True)
        self._spoil_disk(fault, chance)

    def _spoil_running(self, fault: str) -> None:
        if fault == "server killed":
            end(self.server)
        elif fault == "server killed before the reply":
            self.server.send_signal(signal.SIGUSR2)
        elif fault == "server restarted":
            self._restart_server()
        elif fault == "connection cut":
            self.relay.cut()
        elif fault == "half-open":
            self.relay.swallows = True
        elif fault == "disk full":
            fill_up(self.state)

    def _spoil_disk(self, fault: str, chance: random.Random) -> None:
        spoil = {"bit": flip_bit, "page": chance.choice(PAGE_FAULTS)}.get(fault.split()[0], cut_short)
        frames = sorted(self.state.glob("frames/*.frame"))
        if fault in ("bit flip in a frame", "page of a frame", "frame cut short") and frames:
            hit = chance.choice(frames)
            self.hit.add(hit.stem)
            if hit.stat().st_size:
                spoil(hit, chance)
        elif fault in ("bit flip in a database", "page of a database", "database cut short"):
            if files := databases(self.state):
                hit = chance.choice(files)
                if hit.name.startswith("state.db"):
                    self.destroyed |= final_answers(self.state)
                spoil(hit, chance)
        elif fault == "stale table":
            self.destroyed |= final_answers(self.state)
            restore_table(self.state, self.work / "earlier")

    def drain(self) -> dict[str, int]:
        """Let the device send all that waits; its last words."""
        self._restart_server()
        for _ in range(3):
            device = self.device("drain")
            said, _ = device.communicate()
            with contextlib.suppress(ValueError, IndexError):  # it did not end as it should
                if device.returncode == 0:
                    return dict(json.loads(said.splitlines()[-1]))
            self.bad_starts += 1
        return {"waiting": -1, "answers_cloud": 0}


def free_port() -> int:
    """A free port that no outgoing connection is given, so that the server finds it free again after a kill."""
    for offset in range(10_000):
        port = 20_000 + (os.getpid() + offset) % 10_000  # another soak may run beside this one
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise SystemExit("no port from 20000 to 29999 is free")


def end(process: subprocess.Popen[str]) -> None:
    """SIGKILL."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def lines(path: Path) -> list[str]:
    """The words in a file that may not be there."""
    return path.read_text().split() if path.exists() else []


def tally(soak: Soak, said: dict[str, int], cycles: int) -> Tally:
    """Compare what was promised with what the device has."""
    promised, inferences = set(lines(soak.work / "promised")), lines(soak.work / "inferences")
    found = Tally(cycles=cycles, promised=len(promised), faults=dict(soak.faults), bad_starts=soak.bad_starts)
    found.waiting = said["waiting"]
    found.inferences, found.repeated = len(inferences), len(inferences) - len(set(inferences))
    if soak._program == "soaking.queue_device":
        answers = lines(soak.work / "answers")
        found.cloud, found.twice = len(promised & set(answers)), len(answers) - len(set(answers))
        found.lost = len(promised - set(answers))
        return found
    try:
        known = {entry.answer.frame_id: entry.answer for entry in all_entries(soak.state)}
    except StorageError as error:
        found.unreadable = str(error)
        return found
    said_of = [known[frame_id] for frame_id in promised & known.keys()]
    found.cloud = sum(answer.origin is Origin.CLOUD for answer in said_of)
    found.device = dict(Counter(a.reason.value for a in said_of if a.origin is Origin.DEVICE and a.final))
    found.provisional = sum(not answer.final for answer in said_of)
    gone = promised - known.keys() | {a.frame_id for a in said_of if a.reason is Reason.DAMAGED}
    found.hit = len(gone & soak.hit)
    found.destroyed = len((gone & soak.destroyed) - soak.hit)
    found.lost = len(gone - soak.hit - soak.destroyed)
    from_cloud = {frame_id for frame_id, answer in known.items() if answer.origin is Origin.CLOUD}
    found.twice = max(0, said["answers_cloud"] - len(from_cloud | soak.destroyed))
    return found


def run(program: str, work: Path, options: argparse.Namespace, path: str | None = None) -> Tally:
    """The whole soak of one device program."""
    soak = Soak(work, program, path)
    with small_disk(soak.state, DISK_MB) as small, soak.serving():
        faults = {name: weight for name, weight in FAULTS.items() if name not in options.without}
        if not small:
            faults.pop("disk full", None)
        if program == "soaking.queue_device":
            for name in ("bit flip in a frame", "page of a frame", "frame cut short", "stale table"):
                faults.pop(name, None)  # its frames are in its database
        for number in range(options.cycles):
            soak.cycle(number, options.seed, faults)
            if number % 50 == 49:
                print(f"{program}: {number + 1} of {options.cycles} cycles", file=sys.stderr)
        return tally(soak, soak.drain(), options.cycles)


def show(results: dict[str, Tally]) -> None:
    """Print the table."""
    print("| |" + "|".join(f" {name} " for name in results) + "|")
    print("|---|" + "---|" * len(results))
    rows = {name: [asdict(found)[name] for found in results.values()] for name in asdict(Tally())}
    for name, values in rows.items():
        cells = (
            ", ".join(f"{k}: {v}" for k, v in sorted(value.items())) if isinstance(value, dict) else value
            for value in values
        )
        print(f"| {name} | " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--persist-queue", metavar="FOLDER", help="where persist-queue is installed: run it too")
    parser.add_argument(
        "--without", nargs="+", choices=FAULTS, default=[], metavar="FAULT", help="leave these faults out"
    )
    parser.add_argument("--only-queue", action="store_true", help="with --persist-queue: run it alone")
    parser.add_argument("--work", type=Path, help="keep logs and files here")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    options = parser.parse_args()
    results = {}
    programs: dict[str, tuple[str, str | None]] = {} if options.only_queue else {"edge-sdk": ("soaking.device", None)}
    if options.persist_queue:
        programs["persist-queue"] = ("soaking.queue_device", options.persist_queue)
    for name, (program, path) in programs.items():
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            work = (options.work or Path(folder)) / name
            work.mkdir(parents=True)
            results[name] = run(program, work, options, path)
    if options.json:
        print(json.dumps({name: asdict(found) for name, found in results.items()}))
    else:
        show(results)


if __name__ == "__main__":
    main()
