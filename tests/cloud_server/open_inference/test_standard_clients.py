"""Real clients of the Open Inference Protocol, each in an environment of its own, against a real server process.

Installing them takes minutes, so these tests are slow. The environments stay in the user's cache.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gated_model import picture
from open_inference_parts import write
from platformdirs import user_cache_path

from edge_sdk.security.tokens import add_token, new_token

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

TESTS = Path(__file__).resolve().parents[2]
PAGE = TESTS.parent / "docs" / "guides" / "standard-clients.md"
TRITON = ("tritonclient[grpc,http]==2.73.0", "protobuf<7")
KSERVE = ("kserve==0.21.0",)
ANALYZER = ("tritonclient==2.41.0", "nvidia-cuda-runtime-cu12==12.9.79")
SERVER = """
import sys, cloud_server.models as models
from gated_model import GatedModel
def load(weights, *args):
    model = GatedModel()
    model.name = "gated" if weights == "trailcam" else weights
    model.fingerprint = weights
    return model
models.load_model = load
from cloud_server.cli import main
main(sys.argv[1:])
"""


def environment(*packages: str, dependencies: bool = True) -> Path:
    """The folder of an environment that has the packages."""
    named = re.sub(r"[^\w.]+", "-", "-".join(packages))
    folder = user_cache_path("edge-sdk-tests") / f"{named}-python{sys.version_info[0]}.{sys.version_info[1]}"
    if not (folder / "installed").exists():
        venv.create(folder, clear=True, with_pip=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        alone = [] if dependencies else ["--no-deps"]
        installed = subprocess.run([*install, *alone, *packages], capture_output=True, text=True, timeout=1000)
        assert installed.returncode == 0, installed.stderr[-3000:]
        (folder / "installed").touch()
    return folder


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, str]]:
    """Addresses of gRPC and HTTP of a server process."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SERVER,
            "--port",
            "0",
            "--http-port",
            "0",
            "--state",
            "none",
            "--open-inference",
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert process.stdout
    assert process.stderr
    try:
        log = ""
        while "metrics on" not in log and (line := process.stderr.readline()):
            log += line
        found = re.search(r"http://(127\.0\.0\.1:\d+)/metrics", log)
        assert found, log
        yield process.stdout.readline().split()[-1], found[1]
    finally:
        process.kill()
        process.communicate()


def said(folder: Path, code: str, *arguments: str) -> str:
    """What a program prints in an environment."""
    command = [str(folder / "bin" / "python"), "-W", "ignore", "-c", code, *arguments]
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=kept)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


TRITON_CODE = """
import importlib, sys
import numpy as np
kind, address, token, photo = sys.argv[1:]
triton = importlib.import_module(f"tritonclient.{kind}")
from tritonclient.utils import InferenceServerException
client, headers = triton.InferenceServerClient(address), {"authorization": f"Bearer {token}"}
try:
    client.get_model_metadata("gated")
    raise SystemExit("it was let in without a token")
except InferenceServerException as error:
    assert "authorization: Bearer TOKEN" in error.message(), error
assert client.is_server_live(headers=headers) and client.is_server_ready(headers=headers)
assert client.is_model_ready("gated", headers=headers)
told = client.get_model_metadata("gated", headers=headers, **({"as_json": True} if kind == "grpc" else {}))
assert [one["name"] for one in told["inputs"]] == ["image", "pixels", "planes"]
client.get_model_config("gated", headers=headers)
client.get_model_repository_index(headers=headers)

def infer(name, array, datatype, **more):
    given = triton.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array)
    return client.infer("gated", [given], headers=headers, request_id="7", **more)

file = open(photo, "rb").read()
pixels = np.full((3, 20, 30, 3), 1, np.uint8)
planes = np.full((1, 3, 20, 30), 1 / 255, np.float32)
for name, array, datatype in (
    ("image", np.array([[file], [file]], np.object_), "BYTES"),
    ("image", np.array([file], np.object_), "BYTES"),
    ("pixels", pixels, "UINT8"),
    ("planes", planes, "FP32"),
):
    result = infer(name, array, datatype)
    assert result.as_numpy("label").tolist() == [[b"grey fox"]] * len(array), result.as_numpy("label")
    assert result.as_numpy("probabilities").tolist() == [[0, 1, 0]] * len(array)
best = infer("pixels", pixels, "UINT8", outputs=[triton.InferRequestedOutput("probabilities", class_count=1)])
assert best.as_numpy("probabilities").tolist() == [[b"1.000000:1:grey fox"]] * 3
for array, datatype in ((pixels.astype(np.float16), "FP16"), (np.zeros((9999, 1, 1, 3), np.uint8), "UINT8")):
    try:
        infer("pixels", array, datatype)
        raise SystemExit("it was answered")
    except InferenceServerException as error:
        print(error.message())
print(client.get_inference_statistics("gated", headers=headers))
"""


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_tritons_client(kind: str, tmp_path: Path) -> None:
    photo, tokens, token = tmp_path / "photo.png", tmp_path / "tokens", new_token()
    photo.write_bytes(picture(1))
    add_token(tokens, "lab", token)
    with serving("--tokens", str(tokens)) as addresses:
        told = said(environment(*TRITON), TRITON_CODE, kind, addresses[kind == "http"], token, str(photo))
    assert "expected the data type UINT8 for pixels; got 'FP16'" in told
    assert "expected at most 32 pictures in one request; got 9,999" in told


SEVERAL_CODE = """
import sys
import numpy as np
kind, address = sys.argv[1:]
if kind == "grpc":
    import tritonclient.grpc as triton
else:
    import tritonclient.http as triton
from tritonclient.utils import InferenceServerException
as_json = {"as_json": True} if kind == "grpc" else {}
client = triton.InferenceServerClient(address)
index = client.get_model_repository_index(**as_json)
listed = [(one["name"], one["version"]) for one in (index["models"] if kind == "grpc" else index)]
canary = listed[1][1]
assert listed == [("trailcam", "1"), ("trailcam", canary), ("birds", "1")], listed
for name, version, weights in (("trailcam", "", "a"), ("trailcam", canary, "canary"), ("birds", "1", "b")):
    assert client.is_model_ready(name, version)
    assert client.get_model_metadata(name, version, **as_json)["name"] == name
    config = client.get_model_config(name, version, **as_json)
    config = config["config"] if kind == "grpc" else config
    assert config["parameters"]["model"]["string_value"] == weights, config
    given = triton.InferInput("pixels", [1, 20, 30, 3], "UINT8")
    given.set_data_from_numpy(np.full((1, 20, 30, 3), 1, np.uint8))
    result = client.infer(name, [given], model_version=version)
    assert result.as_numpy("label").tolist() == [[b"grey fox"]]
    answered = result.get_response(**as_json)
    assert (answered["model_name"], answered["model_version"]) == (name, version or "1")
    (counts,) = client.get_inference_statistics(name, version or "1", **as_json)["model_stats"]
    assert int(counts["inference_count"]) == 1, counts
try:
    client.get_model_metadata("fish")
    raise SystemExit("it was answered")
except InferenceServerException as error:
    print(error.message())
"""


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_tritons_client_asks_every_model(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    write(path, ("trailcam", "a", None), ("trailcam", "canary", 0.5), ("birds", "b", None))
    with serving("--models", str(path)) as addresses:
        told = said(environment(*TRITON), SEVERAL_CODE, kind, addresses[kind == "http"])
    assert "expected the model 'trailcam' or 'birds', which this server has; got 'fish'" in told


def test_the_guides_example(tmp_path: Path) -> None:
    code = PAGE.read_text().partition("```python notest\n")[2].partition("```")[0]
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(picture(1))
    with serving() as (address, _):
        code = code.replace("127.0.0.1:50051", address).replace("photo.jpg", str(photo)).replace("trailcam", "gated")
        assert said(environment(*TRITON), code).strip() == "grey fox 1.0"


KSERVE_CODE = """
import asyncio, sys
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
grpc_address, http_address, token, photo = sys.argv[1:]
headers = {"authorization": f"Bearer {token}"}
pixels = np.full((2, 20, 30, 3), 1, np.uint8)

def request(name, array, datatype):
    given = InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array)
    return InferRequest(model_name="gated", infer_inputs=[given])

async def main():
    grpc, url = InferenceGRPCClient(grpc_address), f"http://{http_address}"
    rest = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await grpc.is_server_ready(headers=list(headers.items()))
    assert await rest.is_server_ready(url, headers=headers)
    for asked in (
        ("image", np.array([[open(photo, "rb").read()]], np.object_), "BYTES"),
        ("pixels", pixels, "UINT8"),
        ("planes", (pixels.transpose(0, 3, 1, 2) / 255).astype(np.float32), "FP32"),
    ):
        for reply in (
            await grpc.infer(request(*asked), headers=list(headers.items())),
            await rest.infer(url, request(*asked), headers=headers, model_name="gated"),
        ):
            found = {one.name: one.as_numpy().tolist() for one in reply.outputs}
            assert found["probabilities"] == [[0, 1, 0]] * len(asked[1])
            assert found["label"][0] in ([b"grey fox"], ["grey fox"])
    print("answered")

asyncio.run(main())
"""


def test_kserves_client(tmp_path: Path) -> None:
    photo, tokens, token = tmp_path / "photo.png", tmp_path / "tokens", new_token()
    photo.write_bytes(picture(1))
    add_token(tokens, "lab", token)
    with serving("--tokens", str(tokens)) as addresses:
        assert said(environment(*KSERVE), KSERVE_CODE, *addresses, token, str(photo)) == "answered\n"


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_perf_analyzer(kind: str, tmp_path: Path) -> None:
    folder = environment(*ANALYZER, dependencies=False)
    libraries = next(folder.rglob("libcudart.so.12")).parent
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    if "libb64.so" not in known:
        pytest.skip("perf_analyzer needs Debian's libb64-0d")
    data = base64.b64encode(len(picture(1)).to_bytes(4, "little") + picture(1)).decode()
    given = tmp_path / "in.json"
    given.write_text(json.dumps({"data": [{"image": {"b64": data}}]}))
    options = ["-i", kind, "--input-data", str(given), "--measurement-mode", "count_windows", "-s", "999", "-b", "2"]
    with serving() as addresses:
        done = subprocess.run(
            [str(folder / "bin" / "perf_analyzer"), "-m", "gated", "-u", addresses[kind == "http"], *options],
            capture_output=True,
            text=True,
            timeout=200,
            env={"LD_LIBRARY_PATH": str(libraries)},
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert re.search(r"Throughput: [1-9][\d.]* infer/sec", done.stdout), done.stdout
    assert re.search(r"Inference count: [1-9]", done.stdout), done.stdout
