from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
import pytest
from gated_model import GatedModel, picture
from open_inference_parts import CONFIG, framed, several, write

from cloud_server.open_inference.http_form import REQUESTS_OF_ONE
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.security.tokens import add_token, new_token

_open = build_opener(ProxyHandler({})).open
INFER = "/v2/models/gated/infer"
SIZE = "Inference-Header-Content-Length"


def ask(
    address: str, path: str, body: bytes | None = None, method: str | None = None, **headers: str
) -> tuple[int, Any, bytes]:
    """Status, JSON and what stands behind it."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with _open(Request(f"http://{address}{path}", body, headers, method=method)) as reply:
            status, told, given = reply.status, reply.headers, reply.read()
    except HTTPError as error:
        with error:
            status, told, given = error.code, error.headers, error.read()
    size = int(told.get(SIZE, len(given)))
    return status, json.loads(given[:size]), given[size:]


@asynccontextmanager
async def serving(config: ServerConfig = CONFIG, model: GatedModel | None = None) -> AsyncIterator[CloudServer]:
    async with CloudServer(config, model or GatedModel()) as server:
        yield server


async def asked(server: CloudServer, *args: Any, **headers: Any) -> tuple[int, Any, bytes]:
    return await asyncio.to_thread(ask, server.http_address, *args, **headers)


def tensor(data: Any = None, name: str = "image", datatype: str = "BYTES", shape: Any = (1, 1), **more: Any) -> bytes:
    given = {"name": name, "datatype": datatype, "shape": shape}
    return json.dumps({"inputs": [given if data is None else {**given, "data": data}], **more}).encode()


async def test_json_is_answered_in_json() -> None:
    level = np.full((1, 2, 2, 3), 2)
    file = base64.b64encode(picture(2)).decode()
    async with serving() as server:
        for body in (
            tensor([file], id="a"),
            tensor([[file]], id="a"),
            tensor(level.tolist(), "pixels", "UINT8", (1, 2, 2, 3), id="a"),
            tensor((level.ravel() / 255).tolist(), "planes", "FP32", (1, 3, 2, 2), id="a"),
        ):
            status, told, _ = await asked(server, INFER, body)
            assert (status, told) == (
                200,
                {
                    "model_name": "gated",
                    "model_version": "1",
                    "id": "a",
                    "outputs": [
                        {"name": "probabilities", "datatype": "FP32", "shape": [1, 3], "data": [0.0, 0.0, 1.0]},
                        {"name": "label", "datatype": "BYTES", "shape": [1, 1], "data": ["deer"]},
                    ],
                },
            )


async def test_binary_data_stand_behind_the_json() -> None:
    raw = framed(picture(1), picture(2))
    given = {"name": "image", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(raw)}}
    async with serving() as server:
        for wanted, count in (
            ({"parameters": {"binary_data_output": True}}, 2),
            ({"outputs": [{"name": "label", "parameters": {"binary_data": True}}, {"name": "probabilities"}]}, 1),
        ):
            head = json.dumps({"inputs": [given], **wanted}).encode()
            status, told, behind = await asked(server, INFER, head + raw, **{SIZE: str(len(head))})
            assert status == 200
            sizes = [one["parameters"]["binary_data_size"] for one in told["outputs"] if "parameters" in one]
            assert len(sizes) == count
            assert sum(sizes) == len(behind)
            assert framed(b"grey fox", b"deer") in behind


async def test_what_the_server_tells() -> None:
    async with serving() as server:
        for path, wanted in (
            ("/v2", {"name": "edge-sdk cloud-server"}),
            ("/v2/health/live", {"live": True}),
            ("/v2/health/ready", {"ready": True}),
            ("/v2/models/gated", {"name": "gated", "versions": ["1"]}),
            ("/v2/models/gated/versions/1/ready", {"ready": True}),
            ("/v2/models/gated/config", {"max_batch_size": 4}),
        ):
            status, told, _ = await asked(server, path)
            assert status == 200
            assert wanted.items() <= told.items()
        for path in ("/v2/models/stats", "/v2/models/gated/stats"):
            assert (await asked(server, path))[1]["model_stats"][0]["inference_count"] == 0
        assert (await asked(server, "/v2/repository/index", b"{}"))[1][0]["state"] == "READY"


async def test_every_model_is_asked_by_name_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = several(tmp_path, monkeypatch)
    write(path, ("trailcam", "a", None), ("trailcam", "canary", 0.1), ("birds", "b", None))
    async with CloudServer(dataclasses.replace(CONFIG, models=path)) as server:
        canary = (await asked(server, "/v2/repository/index", b"{}"))[1][1]["version"]
        body = tensor([base64.b64encode(picture(1)).decode()])
        for place, weights, version in (
            ("trailcam", "a", "1"),
            ("trailcam/versions/1", "a", "1"),
            (f"trailcam/versions/{canary}", "canary", canary),
            ("birds", "b", "1"),
        ):
            status, told, _ = await asked(server, f"/v2/models/{place}/infer", body)
            assert (status, told["model_name"], told["model_version"]) == (200, place.partition("/")[0], version)
            assert (await asked(server, f"/v2/models/{place}"))[1]["properties"]["model"] == weights
            assert (await asked(server, f"/v2/models/{place}/ready"))[:2] == (
                200,
                {"name": place.partition("/")[0], "ready": True},
            )
            assert (await asked(server, f"/v2/models/{place}/config"))[1]["parameters"]["model"][
                "string_value"
            ] == weights
        for path_of, counts in (
            ("/v2/models/stats", [2, 1, 1]),
            ("/v2/models/trailcam/stats", [2, 1]),
            (f"/v2/models/trailcam/versions/{canary}/stats", [1]),
            ("/v2/models/birds/stats", [1]),
        ):
            told = (await asked(server, path_of))[1]["model_stats"]
            assert [one["inference_count"] for one in told] == counts
        for wrong in ("fish", "birds/versions/2", f"birds/versions/{canary}"):
            assert (await asked(server, f"/v2/models/{wrong}/ready"))[0] == 404
            assert (await asked(server, f"/v2/models/{wrong}/infer", body))[0] == 404


FAULTS: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "no JSON": (b"\xff", {}, 400, "expected a request in JSON"),
    "a deep nest": (b"[" * 100_000, {}, 400, "expected a request in JSON"),
    "a list": (b"[]", {}, 400, "expected a request as an object in JSON; got list"),
    "no inputs": (b"{}", {}, 400, "expected inputs as a list"),
    "many inputs": (b'{"inputs": [1, 2]}', {}, 400, "expected one input; got 2"),
    "no data": (tensor(), {}, 400, "expected data as a list"),
    "no base64": (tensor(["?"]), {}, 400, "expected base64 in data"),
    "text for numbers": (tensor(["a"], "pixels", "UINT8", (1, 1, 1, 3)), {}, 400, "expected data as numbers"),
    "ragged data": (tensor([[1], [2, 3]], "pixels", "UINT8", (1, 1, 1, 3)), {}, 400, "expected data as numbers"),
    "huge integers": (tensor([1 << 80] * 3, "pixels", "UINT8", (1, 1, 1, 3)), {}, 400, "expected data as numbers"),
    "over 255": (
        tensor([1, 2, 300], "pixels", "UINT8", (1, 1, 1, 3)),
        {},
        400,
        "0 to 255 for UINT8; got 1 to 300",
    ),
    "infinity": (tensor([1e300] * 3, "planes", "FP32", (1, 3, 1, 1)), {}, 400, "expected floats from 0 to 1"),
    "NaN": (tensor([float("nan")] * 3, "planes", "FP32", (1, 3, 1, 1)), {}, 400, "expected floats from 0 to 1"),
    "FP16": (tensor([0.5] * 3, "planes", "FP16", (1, 3, 1, 1)), {}, 400, "expected the data type FP32 for planes"),
    "a huge dimension": (tensor(["aa=="], shape=[1 << 70]), {}, 400, "expected an integer of 64 bits"),
    "a boolean dimension": (tensor(["aa=="], shape=[True]), {}, 400, "expected an integer of 64 bits"),
    "JSON beyond the body": (b"{}", {SIZE: "3"}, 400, "from 0 to 2, the body; got 3"),
    "a negative size": (b"{}", {SIZE: "-1"}, 400, "expected a number of bytes"),
    "bytes behind": (tensor(["aa=="]) + b"x", {SIZE: str(len(tensor(["aa=="])))}, 400, "expected binary_data_size"),
    "compressed": (b"{}", {"Content_Encoding": "gzip"}, 415, "not compressed"),
    "another output": (tensor(["aa=="], outputs=[{"name": "x"}]), {}, 400, "expected the outputs probabilities and"),
}


@pytest.mark.parametrize(("body", "headers", "status", "message"), FAULTS.values(), ids=FAULTS)
async def test_what_is_wrong_is_said(body: bytes, headers: dict[str, str], status: int, message: str) -> None:
    async with serving() as server:
        found, told, _ = await asked(server, INFER, body, **headers)
        assert (found, message in told["error"]) == (status, True), told


async def test_other_models_paths_and_methods() -> None:
    async with serving() as server:
        assert (await asked(server, "/v2/models/resnet/infer", b"{}"))[0] == 404
        assert (await asked(server, "/v2/models/gated/versions/7"))[0] == 404
        assert (await asked(server, "/v2/none"))[0] == 404
        assert (await asked(server, INFER))[0] == 405
        assert (await asked(server, "/v2/health/live", b"{}"))[0] == 405
        assert (await asked(server, INFER, b" " * (10 << 20)))[0] == 413
    async with serving(dataclasses.replace(CONFIG, open_inference=False)) as server:
        assert (await asked(server, "/v2/health/live"))[0] == 404


async def test_a_token_is_needed(tmp_path: Path) -> None:
    tokens, token = tmp_path / "tokens", new_token()
    add_token(tokens, "lab", token)
    async with serving(dataclasses.replace(CONFIG, tokens=tokens)) as server:
        body = tensor([base64.b64encode(picture(1)).decode()])
        for path, sent in (("/v2/health/live", None), ("/v2/models/gated", None), (INFER, body)):
            assert (await asked(server, path, sent))[0] == 401
            assert (await asked(server, path, sent, Authorization="Bearer no"))[0] == 401
            assert (await asked(server, path, sent, Authorization=f"Bearer {token}"))[0] == 200


async def test_a_drain_answers_what_is_in_flight() -> None:
    model = GatedModel()
    server = CloudServer(CONFIG, model)
    await server.start()
    model.shut()
    early = asyncio.create_task(asked(server, INFER, tensor([base64.b64encode(picture(1)).decode()])))
    await asyncio.to_thread(model.entered.acquire)
    stopping = asyncio.create_task(server.stop())
    while server.is_serving:  # noqa: ASYNC110 - it happens in another task, without an event
        await asyncio.sleep(0)
    assert (await asked(server, "/v2/health/ready"))[0] == 503
    assert (await asked(server, INFER, tensor([base64.b64encode(picture(2)).decode()])))[0] == 503
    model.gate.set()
    assert (await early)[0] == 200
    assert await stopping


async def test_one_caller_has_few_requests_open() -> None:
    async with serving() as server:
        host, _, port = server.http_address.partition(":")
        silent = [socket.create_connection((host, int(port))) for _ in range(REQUESTS_OF_ONE)]
        try:
            for one in silent:
                one.sendall(f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n".encode())
            while (await asked(server, "/v2/health/live"))[0] == 200:
                pass
            assert (await asked(server, "/v2/health/live"))[0] == 429
        finally:
            for one in silent:
                one.close()
        while (await asked(server, "/v2/health/live"))[0] == 429:
            pass


async def test_a_client_that_asks_whether_to_go_on() -> None:
    """Told to go on where its body is wanted, and refused before it sends one where it is not."""
    body = tensor([base64.b64encode(picture(2)).decode()])

    def first_line(address: str, path: str, size: int, send: bytes) -> bytes:
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port))) as client:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {size}\r\n\r\n"
            client.sendall(head.encode())
            got = client.recv(1 << 16)
            if got.startswith(b"HTTP/1.1 100"):
                client.sendall(send)
                got = client.recv(1 << 16)
            return got.splitlines()[0]

    async with serving() as server:
        for path, size, line in (
            (INFER, len(body), b"HTTP/1.1 200 OK"),
            (INFER, 1 << 30, b"HTTP/1.1 413 "),
            ("/v2/none", 10, b"HTTP/1.1 405 "),
        ):
            assert (await asyncio.to_thread(first_line, server.http_address, path, size, body)).startswith(line)
