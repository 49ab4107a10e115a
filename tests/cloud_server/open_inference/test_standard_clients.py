"""Real clients of the Open Inference Protocol, each in an environment of its own, against a real server process.

Installing them takes minutes, so these tests are slow.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gated_model import picture
from open_inference_parts import write
from standard_clients import ANALYZER, KSERVE, KSERVE_CODE, TRITON, TRITON_CODE, environment, said

from edge_sdk.security.tokens import add_token, new_token

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

TESTS = Path(__file__).resolve().parents[2]
PAGE = TESTS.parent / "docs" / "guides" / "standard-clients.md"
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
