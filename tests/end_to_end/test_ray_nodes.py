"""A Ray cluster of two machines (network namespaces) on one PostgreSQL; one machine dies under load, and comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from postgres_server import postgres
from ray_nodes import HERE, PORT, TESTS, Node, ray_nodes
from sqlalchemy import create_engine, text

from edge_sdk.security.tokens import add_token, new_token

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')

DEVICES = 3
FRAMES = 10
"""Of each device, in each part of the story."""


class Device:
    """A device in a process of its own."""

    def __init__(self, folder: Path, servers: str, tokens: Path, number: int) -> None:
        token = new_token()
        add_token(tokens, f"cam-{number}", token)
        self.folder = folder / f"cam-{number}"
        self.folder.mkdir()
        token_file = self.folder / "token"
        token_file.write_text(token)
        token_file.chmod(0o600)
        command = [sys.executable, TESTS / "ray_device.py", self.folder, servers, token_file, number]
        self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, frames: int) -> None:
        """Begin to send frames."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{frames}\n")
        self.process.stdin.flush()

    def wait_for(self, answered: int) -> None:
        """Return once so many more frames are answered: the device writes a line for each."""
        assert self.process.stdout is not None
        for _ in range(answered):
            assert self.process.stdout.readline(), "the device has ended"

    def end(self) -> dict[str, Any]:
        """What came of it, once each frame is answered."""
        self.process.communicate()
        return dict(json.loads((self.folder / "told.json").read_text()))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_node_that_dies_costs_nothing_and_comes_back(tmp_path: Path) -> None:
    with ExitStack() as stack:
        head, second = stack.enter_context(ray_nodes(2, tmp_path))
        database = stack.enter_context(postgres(tmp_path, f"{HERE}/24"))
        url = database.new_database()
        tokens = tmp_path / "tokens"
        add_token(tokens, "other", new_token())
        options = {
            "database": url.replace("127.0.0.1", HERE),
            "tokens": str(tokens),
            "cpus": 1,  # a node has one: two replicas stand on two nodes
            "min_replicas": 2,
            "max_replicas": 2,
        }

        head.start()
        second.start()
        deploying = (TESTS / "ray_deploy.py", f"{head.address}:6379", PORT, json.dumps(options))
        driver = stack.enter_context(head.begin(*deploying))
        stack.callback(driver.kill)

        def until(*wanted: Node) -> None:
            """Wait until a replica runs on each of these, and none elsewhere."""
            assert driver.stdin and driver.stdout
            driver.stdin.write(" ".join(node.address for node in wanted) + "\n")
            driver.stdin.flush()
            while (line := driver.stdout.readline()) != "there\n":  # Ray writes of nodes that die there too
                assert line, [one.read_text()[-3000:] for one in tmp_path.glob("*.log")]

        until(head, second)
        servers = f"{second.target},{head.target}"
        devices = [Device(tmp_path, servers, tokens, number) for number in range(DEVICES)]
        for device in devices:
            stack.callback(device.process.kill)
        for device in devices:
            device.send(3 * FRAMES)
        for device in devices:
            device.wait_for(FRAMES)
        second.kill()  # under load: each device has two thirds of its frames before it
        for device in devices:
            device.wait_for(2 * FRAMES)
        until(head)  # Ray has noticed, and waits for room
        second.start()
        until(head, second)
        for device in devices:
            device.send(FRAMES)
        for device in devices:
            device.wait_for(FRAMES)
        told = [device.end() for device in devices]
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect() as connection:
            kept = connection.scalar(text("select count(*) from replies"))
        engine.dispose()
    for one in told:
        sent, used = one["sent"], one["used"]
        assert len(sent) == 4 * FRAMES
        assert one["heard"] == dict.fromkeys(sent, 1)  # nothing lost, nothing twice
        assert one["origins"] == {"cloud": len(sent)}
        assert (one["cloud"], one["waiting"]) == (len(sent), 0)
        assert {head.target, second.target} <= set(used)
    assert kept == sum(len(one["sent"]) for one in told)
