"""What reports cost: bytes that the device's interface sends and receives, as the kernel counts them.

python benchmarks/reports.py            (needs root: two network namespaces, joined by a veth pair)

The server is a real one, with mutual TLS and tokens. A day is simulated in steps of a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from emulated_link.namespaces import Side, ip, veth_link
from server_parts import GATED, TESTS

from edge_sdk import EdgeClassifier, ReportSettings, Security
from edge_sdk.budget.ledger import Ledger
from edge_sdk.fleet.report_file import ReportFile
from edge_sdk.link.grpc_transport import GrpcTransport
from edge_sdk.link.relay import Relay
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.certificates import Authority
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.store.frames import SpoolItem
from edge_sdk.testing import FakeClock
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire

PORT = 50051
REPEATS = 20
PICTURE = np.zeros((48, 64, 3), np.uint8)


def security(keys: Path) -> Security:
    """The device's, of its folder of keys."""
    return Security(ca=keys / "ca.pem", cert=keys / "cam.pem", key=keys / "cam.key", token_file=keys / "token")


def device(state: str, target: str, keys: str, threshold: str) -> None:
    """The device's end: does what its standard input says, a line each, and says so."""
    clock = FakeClock(time.time())
    with EdgeClassifier(
        cloud=target,
        state_dir=state,
        threshold=float(threshold),
        security=security(Path(keys)),
        clock=clock,
        reports=ReportSettings(most_bytes_per_day=int(os.environ.get("MOST", "10000"))),
    ) as edge:
        print("ready", flush=True)
        for line in sys.stdin:
            order, count = line.split()
            for _ in range(int(count)):
                if order == "classify":
                    edge.classify(PICTURE, wait_s=20 if float(threshold) > 1 else 0)
                    clock.pass_s(20)
                elif order == "minutes":
                    clock.pass_s(60)
                    assert edge._parts.link is not None
                    edge._parts.link.wake_for_report()
                    time.sleep(0.01)
                elif order == "report":
                    edge.report()
            time.sleep(1.0)  # the end of a connection is on its way too
            print(json.dumps({"charged": edge.lifetime_usage.bytes_sent}), flush=True)


def compare(target: str, keys: str, counter: str, size: str) -> None:
    """Reports as calls of their own, and as large messages on the stream of frames, over one open connection."""

    def sent() -> int:
        time.sleep(0.5)
        return int(Path(counter).read_text())

    async def exchange() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder, "ledger.db")) as ledger:
            transport = GrpcTransport(target, security(Path(keys)), connect_timeout_s=10, reply_timeout_s=10)
            content = wire.ReportRequest(sent_ms=1, word_list=1, words=["x" * int(size)]).SerializeToString()
            async with Relay(target, WireAccount(ledger)) as relay, transport.connect(relay) as connection:
                await connection.report(content)  # type: ignore[attr-defined]
                begun = await asyncio.to_thread(sent)
                for _ in range(REPEATS):
                    await connection.report(content)  # type: ignore[attr-defined]
                called = await asyncio.to_thread(sent)
                image = bytes(len(content) - 34)  # and the frame's id
                for _ in range(REPEATS):
                    one = SpoolItem(new_frame_id(), image, np.zeros(0, np.float32), 0.0, datetime.now(UTC), "")
                    await connection.send(one)
                    await connection.receive()
                streamed = await asyncio.to_thread(sent)
        return {"message": len(content), "call": (called - begun) / REPEATS, "stream": (streamed - called) / REPEATS}

    print(json.dumps(asyncio.run(exchange())), flush=True)


class Device:
    """The device's process."""

    def __init__(self, side: Side, state: Path, keys: Path, target: str, threshold: float = 0.0, most: int = 10_000):
        self._side = side
        environment = {**os.environ, "MOST": str(most)}
        self._process = side.start(__file__, "device", state, target, keys, threshold, env=environment)
        assert self._process.stdout is not None and self._process.stdout.readline() == "ready\n"

    def does(self, order: str, count: int = 1) -> tuple[int, int, int]:
        """Bytes that its interface sent and received meanwhile, and what the ledger was charged since its start."""
        assert self._process.stdin is not None and self._process.stdout is not None
        before = counters(self._side)
        self._process.stdin.write(f"{order} {count}\n")
        self._process.stdin.flush()
        charged = json.loads(self._process.stdout.readline())["charged"]
        sent, received = (after - start for after, start in zip(counters(self._side), before, strict=True))
        return sent, received, charged

    def end(self) -> None:
        """Let it end."""
        self._process.communicate()


def counters(side: Side) -> tuple[int, int]:
    """Bytes that an interface has sent and received, by the kernel."""
    said = json.loads(ip("-n", side.namespace, "-s", "-j", "link", "show", side.interface))[0]["stats64"]
    return int(said["tx"]["bytes"]), int(said["rx"]["bytes"])


@contextmanager
def serving(cloud: Side, keys: Path, reports: Path | None) -> Iterator[str]:
    """A server process in the cloud's namespace; its address."""
    options = ["--host", cloud.address, "--port", PORT, "--state", "none", "--tokens", keys / "tokens"]
    options += ["--tls-cert", keys / "server.pem", "--tls-key", keys / "server.key", "--client-ca", keys / "ca.pem"]
    options += [] if reports is None else ["--reports", reports]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    process = cloud.start("-c", GATED, *options, "--log-level", "error", env=environment)
    try:
        assert process.stdout is not None and process.stdout.readline().startswith("listening")
        yield f"{cloud.address}:{PORT}"
    finally:
        process.kill()
        process.communicate()


def keys_of(folder: Path, cloud: Side) -> Path:
    """A folder with all keys and the token of one device."""
    authority = Authority(folder / "keys")
    authority.issue_server([cloud.address])
    authority.issue_device("cam")
    token = new_token()
    add_token(folder / "keys" / "tokens", "cam", token)
    (folder / "keys" / "token").write_text(token)
    (folder / "keys" / "token").chmod(0o600)
    return folder / "keys"


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as name, veth_link() as (side, cloud):
        folder = Path(name)
        keys = keys_of(folder, cloud)
        with serving(cloud, keys, folder / "reports") as target:
            print("| | sent | received | charged |\n|---|---|---|---|")
            alone = Device(side, folder / "alone", keys, target, most=1_000_000)
            print("| first report, its connection included | {} | {} | {} |".format(*alone.does("report")))
            _, _, charged = bare = alone.does("report")
            print("| a report without answers, its connection included | {} | {} | |".format(*bare[:2]))
            alone.does("classify", 100)
            full = alone.does("report")
            print("| with 100 answers, its connection included | {} | {} | {} |".format(*full[:2], full[2] - charged))
            print(f"\n{(full[0] - bare[0]) / 100:.1f} bytes an answer")
            alone.end()
            row = ReportFile(folder / "reports").devices()[0]
            assert (row.device, row.answers) == ("cam", 100)

            counter = f"/sys/class/net/{side.interface}/statistics/tx_bytes"
            for size in (50, 1_600):
                process = side.start(__file__, "compare", target, keys, counter, size)
                said, _ = process.communicate()
                found = json.loads(said)
                print(
                    f"on an open connection, a message of {found['message']} bytes: as a call of its own "
                    f"{found['call']:.0f} bytes, on the stream of frames {found['stream']:.0f}"
                )

            idle = Device(side, folder / "idle", keys, target)
            print("\n| an idle day | sent | received |\n|---|---|---|")
            print("| the first | {} | {} |".format(*idle.does("minutes", 1440)[:2]))
            print("| the second | {} | {} |".format(*idle.does("minutes", 1440)[:2]))
            idle.end()
            busy = Device(side, folder / "busy", keys, target)
            busy.does("classify", 100)
            print("| with 100 exits before it | {} | {} |".format(*busy.does("minutes", 1440)[:2]))
            busy.end()
        with serving(cloud, keys, None) as target:
            old = Device(side, folder / "old", keys, target)
            print("| the first, of a server that takes no reports | {} | {} |".format(*old.does("minutes", 1440)[:2]))
            print("| the second | {} | {} |".format(*old.does("minutes", 1440)[:2]))
            old.end()
        down = Device(side, folder / "down", keys, target)
        print("| with a server that is down | {} | {} |".format(*down.does("minutes", 1440)[:2]))
        down.end()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"device": device, "compare": compare}[sys.argv[1]](*sys.argv[2:])
    else:
        main()
