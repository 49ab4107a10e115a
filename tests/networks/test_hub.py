"""Fetching from a hub: a local HTTP server stands in for it."""

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from weight_files import trained

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.hub import first_byte
from edge_sdk.networks.timm_library import import_timm
from edge_sdk.networks.timm_networks import make_network

NAME = "lcnet_050"
Handler = http.server.BaseHTTPRequestHandler


@contextmanager
def serving(handler: type[Handler]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def handler(answer: Callable[[Handler], None]) -> type[Handler]:
    class Answers(Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        do_HEAD = do_CONNECT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    return Answers


def status(code: int, body: bytes = b"", kind: str = "application/octet-stream") -> type[Handler]:
    def answer(self: Handler) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    return handler(answer)


@pytest.fixture
def silent() -> Iterator[str]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def refused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in list(os.environ):
        if key.lower().endswith("_proxy"):
            monkeypatch.delenv(key)


def test_a_byte_that_comes(tmp_path: Path) -> None:
    with serving(status(206, b"x")) as address:
        assert first_byte(f"{address}/file") == ""


def test_what_comes_in_its_place() -> None:
    for page, told in (
        (status(200, b"<html>Sign in</html>", "text/html"), "HTML"),
        (status(403), "HTTP 403"),
        (status(404), "HTTP 404"),
        (status(503), "HTTP 503"),
        (status(200), "empty"),
    ):
        with serving(page) as address:
            assert told in first_byte(f"{address}/file")


def test_nothing_comes(silent: str, refused: str) -> None:
    assert "nothing answered within 0.5 s" in first_byte(silent, seconds=0.5) or "timed out" in first_byte(
        silent, seconds=0.5
    )
    assert "refused" in first_byte(refused)
    assert first_byte("http://no-such-host.invalid/file", seconds=5)
    assert "not-a-scheme" in first_byte("not-a-scheme://x")


def test_a_body_that_never_begins_is_nothing() -> None:
    hang = threading.Event()

    def answer(self: Handler) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.flush()
        hang.wait(20)

    with serving(handler(answer)) as address:
        told = first_byte(f"{address}/file", seconds=0.5)
        hang.set()
    assert "0.5 s" in told or "timed out" in told


def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    for code in (403, 407):
        with serving(status(code)) as address:
            monkeypatch.setenv("http_proxy", address)
            monkeypatch.setenv("https_proxy", address)
            assert str(code) in first_byte("http://hub.invalid/file")
            assert str(code) in first_byte("https://hub.invalid/file")


def test_a_token_is_not_sent_where_the_hub_redirects_to() -> None:
    seen: list[str | None] = []

    def elsewhere(self: Handler) -> None:
        seen.append(self.headers.get("Authorization"))
        status(206, b"x").do_GET(self)  # type: ignore[attr-defined]

    with serving(handler(elsewhere)) as other:

        def redirect(self: Handler) -> None:
            seen.append(self.headers.get("Authorization"))
            self.send_response(302)
            self.send_header("Location", f"{other}/file")
            self.send_header("Content-Length", "0")
            self.end_headers()

        with serving(handler(redirect)) as hub:
            assert first_byte(f"{hub}/file", {"Authorization": "Bearer secret"}) == ""
    assert seen == ["Bearer secret", None]


def test_a_hub_that_cannot_be_reached_is_told_once_and_soon(tmp_path: Path) -> None:
    """A process of its own: the hub's library reads its settings when it is imported."""
    program = (
        "from edge_sdk.networks.timm_networks import make_network\n"
        "from edge_sdk.errors import WorkbenchError\n"
        "try:\n"
        f"    make_network({NAME!r}, pretrained=True)\n"
        "except WorkbenchError as error:\n"
        "    print(error)\n"
    )
    env = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=200)
    assert not done.stderr
    (line,) = done.stdout.splitlines()
    assert f"pretrained weights of {NAME}" in line and "refused" in line
    assert "edge-sdk import" in line and "edge-sdk photos" in line and "HF_HOME" in line


def hub_of(files: dict[str, bytes]) -> type[Handler]:
    """A hub with some files."""

    def answer(self: Handler) -> None:
        content = files.get(self.path.rpartition("/")[2])
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, status = 0, 200
        end = len(content)
        if ranged := self.headers.get("Range"):
            first, _, last = ranged.removeprefix("bytes=").partition("-")
            start, end, status = int(first), min(int(last) + 1 if last else end, end), 206
        self.send_response(status)
        self.send_header("ETag", '"0123456789abcdef"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(end - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[start:end])

    return handler(answer)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Gives the hub's library another address, and a cache of its own."""
    import_timm()
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def use(address: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    return use


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_download_works_and_is_not_repeated(
    file: str, hub: Callable[[str], None], refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = trained(make_network(NAME)).state_dict()
    if file.endswith(".bin"):
        torch.save(state, tmp_path / file)
    else:
        save_file(state, tmp_path / file)
    with serving(hub_of({file: (tmp_path / file).read_bytes()})) as address:
        hub(address)
        assert torch.equal(make_network(NAME, pretrained=True).state_dict()["bn1.bias"], state["bn1.bias"])
    hub(refused)
    assert torch.equal(make_network(NAME, pretrained=True).state_dict()["bn1.bias"], state["bn1.bias"])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert make_network(NAME, pretrained=True, num_classes=5).state_dict()["classifier.weight"].shape[0] == 5


def test_a_silent_hub_and_offline_mode(
    hub: Callable[[str], None], silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(silent)
    monkeypatch.setattr("edge_sdk.networks.hub.SECONDS", 0.3)
    with pytest.raises(WorkbenchError, match=rf"weights of {NAME} from {silent}.*(0\.3 s|timed out)"):
        make_network(NAME, pretrained=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WorkbenchError, match="HF_HUB_OFFLINE is set"):
        make_network(NAME, pretrained=True)


def test_a_download_that_breaks_off_is_told(hub: Callable[[str], None]) -> None:
    """The first byte comes, and then another answer."""
    asked: list[str] = []

    def answer(self: Handler) -> None:
        asked.append(self.command)
        (hub_of({"model.safetensors": b"x" * 10}) if len(asked) == 1 else status(403)).do_GET(self)  # type: ignore[attr-defined]

    with serving(handler(answer)) as address:
        hub(address)
        with pytest.raises(WorkbenchError, match=r"download of lcnet_050 .* broke off"):
            make_network(NAME, pretrained=True)


def test_what_timm_has_no_weights_of_is_told() -> None:
    with pytest.raises(WorkbenchError, match="no pretrained weights of lcnet_035"):
        make_network("lcnet_035", pretrained=True)
    with pytest.raises(WorkbenchError, match=r"no pretrained weights of resnet18\.nope.*resnet18\.a1_in1k"):
        make_network("resnet18.nope", pretrained=True)
