from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from gated_model import picture
from grpc_health.v1 import health_pb2, health_pb2_grpc

import cloud_server.cli as command
from cloud_server import serving
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

TESTS = Path(__file__).resolve().parent.parent

HANGING = """
import sys, cloud_server.models as models
from gated_model import GatedModel
model = GatedModel()
models.load_model = lambda *args: model
warm_up = models.warm_up
def warm_up_and_shut(*args):
    warm_up(*args)
    model.shut()
    import threading
    threading.Thread(target=lambda: (model.entered.acquire(), print("entered", flush=True)), daemon=True).start()
models.warm_up = warm_up_and_shut
from cloud_server.cli import main
main(["--port", "0"])
"""


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert process.stdout and process.stderr
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), process.stderr.read()
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.communicate()


def test_sigterm_drains_and_ends_well(checkpoint: Path, tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    options = ["--model", str(checkpoint), "--port", "0", "--port-file", str(port_file), "--threads", "1"]
    with running("-m", "cloud_server", *options) as (process, address):
        assert address == f"127.0.0.1:{port_file.read_text()}"
        with grpc.insecure_channel(address) as channel:
            stub = wire_grpc.OffloadStub(channel)
            reply = stub.Classify(wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(9)))
            assert reply.classification.label in {"empty", "fox", "deer", "boar"}
            process.terminate()
            output, log = process.communicate()
    assert process.returncode == 0
    assert output == ""
    assert "1 frames in 1 batches" in log
    assert "Traceback" not in log


def test_ctrl_c_drains_and_ends_well() -> None:
    with running("-c", HANGING) as (process, _):
        process.send_signal(signal.SIGINT)
        _, log = process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in log


BREAKS = """
import cloud_server.lookout as lookout, cloud_server.models as models, cloud_server.model.watch as watch
from gated_model import GatedModel
class Broken(GatedModel):
    def run(self, images, little=()):
        raise RuntimeError("CUDA error")
models.load_model = lambda *args: Broken()
models.warm_up = lambda *args: None
lookout.WATCH_EVERY_S = 0.01
watch.CHECK_EVERY_S = watch.IDLE_CHECK_S = 0
from cloud_server.cli import main
main(["--port", "0", "--model-grace-s", "0"])
"""


def test_a_model_that_breaks_ends_the_process_with_a_code_of_its_own_and_the_supervisor_hears_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(300)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "3600000000")
        with running("-c", BREAKS) as (process, address):
            _, log = process.communicate()
            heard = [supervisor.recv(1000) for _ in range(3)]
    assert process.returncode == serving.BROKEN
    assert "ended with code 70, so that a supervisor starts it again" in log
    assert heard == [f"READY=1\nSTATUS=listening on {address}".encode(), b"WATCHDOG=1", b"STOPPING=1\nSTATUS=draining"]


def test_a_second_signal_ends_it_at_once() -> None:
    with running("-c", HANGING) as (process, address), grpc.insecure_channel(address) as channel:
        call = wire_grpc.OffloadStub(channel).Classify.future(
            wire.ClassifyRequest(frame_id=new_frame_id(), image=picture())
        )
        assert process.stdout
        assert process.stdout.readline() == "entered\n"
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(health).status == health_pb2.HealthCheckResponse.SERVING
        process.terminate()
        assert next(health).status == health_pb2.HealthCheckResponse.NOT_SERVING
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
        assert call.exception() is not None


def test_a_taken_port_is_explained(checkpoint: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = ["-m", "cloud_server", "--model", str(checkpoint), "--port", str(port)]
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        done.stderr == f"cloud-server: cannot listen on 127.0.0.1:{port}: the port is taken: another program has it "
        f"(`ss -ltnp sport = :{port}` names it)\n"
    )


def test_missing_extras_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "EXTRAS", ("no_such_module", "numpy"))
    result = CliRunner().invoke(command.main, [])
    assert result.exit_code == 2
    assert "no_such_module, which this Python lacks: pip install '.[cloud]'" in result.output


def test_an_unknown_option_is_explained() -> None:
    result = CliRunner().invoke(command.main, ["--prot", "1"])
    assert result.exit_code == 2
    assert "--port" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "expected an encrypted link on 0.0.0.0"),
        (["--tls-cert", "server.pem"], "expected --tls-cert and --tls-key together"),
        (["--client-ca", "ca.pem"], "--client-ca with them"),
        (["--tokens", "/no/such/file"], "cannot read the tokens file /no/such/file"),
        (["--tls-cert", "/no/such.pem", "--tls-key", "/no/such.key"], "No such file"),
    ],
)
def test_a_link_that_cannot_be_made_safe_is_explained(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(command.main, ["--port", "0", *arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_help_works_without_the_extra() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'timm', 'safetensors', 'grpc', 'grpc_health', 'cv2', 'prometheus_client', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "from cloud_server.cli import main\n"
        "main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--http-port" in done.stdout


def test_a_port_file_that_cannot_be_written_is_explained(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "[bold]file").write_text("")
    port_file = tmp_path / "[bold]file" / "port"
    arguments = ["-m", "cloud_server", "--model", str(checkpoint), "--port", "0", "--port-file", str(port_file)]
    done = subprocess.run(
        [sys.executable, *arguments, "--log-level", "error"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("cloud-server: ")
    assert done.stderr.count("\n") == 1
    assert "[bold]file" in done.stderr


@pytest.mark.parametrize("arguments", [["--prot", "1"], ["--archive-limit", "lots"], ["--max-batch", "0"], ["more"]])
def test_a_wrong_option_takes_one_line(arguments: list[str]) -> None:
    result = CliRunner().invoke(command.main, arguments)
    assert result.exit_code == 2
    assert result.output.startswith("cloud-server: ")
    assert result.output.count("\n") == 1


def test_earlier_option_names_still_work(checkpoint: Path, tmp_path: Path) -> None:
    options = ["--model", str(checkpoint), "--port", "0", "--threads", "1", "--remember", "9", "--keep-limit", "1MB"]
    with running("-m", "cloud_server", *options, "--keep", str(tmp_path / "kept")) as (process, _):
        process.terminate()
        _, log = process.communicate()
    assert process.returncode == 0
    assert f"frames are archived in {tmp_path / 'kept'}" in log


LOADING = """
import os, signal, threading
import cloud_server.models as models
never = threading.Event()
def load(*args):
    print("loading", flush=True)
    never.wait()
models.load_model = load
from cloud_server.cli import main
main(["--port", "0"])
"""


def test_ctrl_c_while_it_loads_ends_it_in_a_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOADING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        _, log = process.communicate()
    assert process.returncode == 0
    assert log == "cloud-server: ended before it was ready: 0 frames answered\n"


def test_ctrl_c_ends_with_what_was_done() -> None:
    code = HANGING.replace('main(["--port", "0"])', 'main(["--port", "0", "--log-level", "error"])')
    with running("-c", code) as (process, _):
        process.send_signal(signal.SIGINT)
        _, log = process.communicate()
    assert process.returncode == 0
    assert log.startswith("cloud-server: ended: 0 frames in 0 batches")
    assert log.count("\n") == 1


def test_sighup_reads_tokens_again_and_goes_on(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    add_token(path, "cam-1", new_token())
    options = ["--model", str(checkpoint), "--port", "0", "--threads", "1", "--tokens", str(path)]
    with running("-m", "cloud_server", *options) as (process, address):
        add_token(path, "cam-2", token := new_token())
        process.send_signal(signal.SIGHUP)
        assert process.stderr
        for line in process.stderr:
            if "reloaded the tokens file" in line:
                break
        assert line.endswith("2 devices, 1 new (cam-2)\n")
        with grpc.insecure_channel(address) as channel:
            metadata = [("authorization", f"Bearer {token}")]
            assert wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest(), metadata=metadata).labels
        process.terminate()
        process.communicate()
    assert process.returncode == 0


def test_sighup_reads_the_config_file_again_and_swaps_its_models(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "cloud-server.toml"
    text = f'port = 0\nthreads = 1\nstate = "none"\n[[models]]\nname = "a"\nweights = "{checkpoint}"\n'
    path.write_text(text)
    with running("-m", "cloud_server", "--config", str(path), "--log-level", "info") as (process, address):
        path.write_text(
            text.replace("threads = 1", "queue = 9") + f'[[models]]\nname = "b"\nweights = "{checkpoint}"\n'
        )
        process.send_signal(signal.SIGHUP)
        assert process.stderr
        log = ""
        for line in process.stderr:
            log += line
            if "2 models, 1 of them loaded" in line:
                break
        assert f"{path}: these changes wait for a restart: threads, queue" in log
        with grpc.insecure_channel(address) as channel:
            watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="model/b"))
            assert any(said.status == health_pb2.HealthCheckResponse.SERVING for said in watched)
        process.terminate()
        process.communicate()
    assert process.returncode == 0


def test_a_full_disk_behind_standard_output_ends_nothing(checkpoint: Path) -> None:
    options = ["-m", "cloud_server", "--model", str(checkpoint), "--port", "0", "--threads", "1"]
    with (
        open("/dev/full", "w") as full,
        subprocess.Popen([sys.executable, *options], stdout=full, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr
        for line in process.stderr:
            if "listening on" in line:
                address = line.split()[-1]
            if "cannot write to standard output, and go on without" in line:
                break
        with grpc.insecure_channel(address) as channel:
            assert wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest()).labels
        process.terminate()
        _, log = process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in log
