"""Real clients of the Open Inference Protocol: programs that ask a server, each for an environment of its own.

Installing them takes minutes. The environments stay in the user's cache.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

from platformdirs import user_cache_path

TRITON = ("tritonclient[grpc,http]==2.73.0", "protobuf<7")
KSERVE = ("kserve==0.21.0",)
ANALYZER = ("tritonclient==2.41.0", "nvidia-cuda-runtime-cu12==12.9.79")


def environment(*packages: str, dependencies: bool = True) -> Path:
    """The folder of an environment that has the packages."""
    named = re.sub(r"[^\w.]+", "-", "-".join(packages))
    folder = user_cache_path("edge-sdk-tests") / f"{named}-python{sys.version_info[0]}.{sys.version_info[1]}"
    if not (folder / "installed").exists():
        venv.create(folder, clear=True, with_pip=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        alone = [] if dependencies else ["--no-deps"]
        installed = subprocess.run([*install, *alone, *packages], capture_output=True, text=True)
        assert installed.returncode == 0, installed.stderr[-3000:]
        (folder / "installed").touch()
    return folder


def said(folder: Path, code: str, *arguments: str) -> str:
    """What a program prints in an environment."""
    command = [str(folder / "bin" / "python"), "-W", "ignore", "-c", code, *arguments]
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(command, capture_output=True, text=True, env=kept)
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
