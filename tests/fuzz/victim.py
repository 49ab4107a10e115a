"""A server process under attack, and a device that minds its own business meanwhile."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gated_model import LABELS, picture
from link_parts import FAST, Handler, item

from edge_sdk.budget.ledger import Ledger
from edge_sdk.link.uplink import Uplink
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.store import Store


@dataclass(frozen=True)
class Victim:
    """The server process.

    Attributes:
        process: it.
        address: "host:port".
    """

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def memory(self, name: str) -> int:
        """Bytes by "VmRSS" (now) or "VmHWM" (the most so far)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024


@contextmanager
def serving(log: Path, *options: Path) -> Iterator[Victim]:
    """Run the server, `options` being those of its program; it must still be there at the end, and end well."""
    program = Path(__file__).with_name("server.py")
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(program), *map(str, options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        assert process.stdout is not None
        yield Victim(process, process.stdout.readline().strip())
        assert process.poll() is None, "the server ended"
        process.communicate()
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


class GoodDevice:
    """A device with real spool and uplink that sends `count` frames."""

    def __init__(self, folder: Path, address: str, count: int) -> None:
        self.store = Store(folder)
        self.spool = self.store.spool
        self.handler = Handler(self.spool)
        self.ledger = Ledger(folder / "ledger.db")
        self.uplink = Uplink(address, self.spool, self.ledger, LABELS, self.handler, FAST)
        self.ids = set()
        for number in range(count):
            one = item()
            self.spool.put(
                SpoolItem(one.frame_id, picture(number % 200), one.probabilities, one.gain, one.captured_at, one.source)
            )
            self.ids.add(one.frame_id)

    def __enter__(self) -> GoodDevice:
        self.uplink.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.uplink.close()
        self.store.close()
        self.ledger.close()

    def until_answered(self) -> None:
        """Wait until each of its frames has the big model's answer."""
        self.handler.until(lambda: len(self.spool) == 0)
        assert set(self.handler.replies) == self.ids
        assert self.handler.refusals == []
