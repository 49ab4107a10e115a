from __future__ import annotations

import errno
import resource
import socket
import subprocess
import sys
from collections.abc import Callable

import grpc
import pytest
from gated_model import GatedModel

from cloud_server import listening
from cloud_server.listening import addresses_of, bare_host, explain, listen, why_not
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.errors import ConfigError
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


def has_ipv6() -> bool:
    return why_not("::1", 0) == 0


@pytest.mark.parametrize(
    ("host", "bare"), [("[::]", "::"), ("::1", "::1"), (" 0.0.0.0 ", "0.0.0.0"), ("vm.example", "vm.example")]
)
def test_hosts_as_they_are_written(host: str, bare: str) -> None:
    assert bare_host(host) == bare


@pytest.mark.parametrize("host", ["", " ", "[]", "127.0.0.1:50051", "[::]:50051", "vm:1", "http://vm", "a\nb"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="without a port; got"):
        ServerConfig(host=host, insecure=True)
    with pytest.raises(ConfigError, match="without a port; got"):
        ServerConfig(http_host=host)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize(
    ("host", "printed", "dialled"),
    [
        ("::", "[::]", ("127.0.0.1", "[::1]")),
        ("[::]", "[::]", ("127.0.0.1", "[::1]")),
        ("::1", "[::1]", ("[::1]",)),
        ("[::1]", "[::1]", ("[::1]",)),
        ("localhost", "localhost", ("127.0.0.1",)),
        ("0.0.0.0", "0.0.0.0", ("127.0.0.1",)),
    ],
)
async def test_it_is_reached_at_each_address_and_says_so(host: str, printed: str, dialled: tuple[str, ...]) -> None:
    async with CloudServer(ServerConfig(host=host, port=0, insecure=True), GatedModel()) as server:
        name, _, port = server.address.rpartition(":")
        assert name == printed
        for address in dialled:
            async with grpc.aio.insecure_channel(f"{address}:{port}") as channel:
                said = await wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest())
                assert said.model == "gated"


async def test_a_name_half_of_whose_addresses_are_taken_is_refused() -> None:
    if len(addresses_of("localhost", 0)) < 2 or not has_ipv6():
        pytest.skip("localhost has one address here")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on localhost:{port}: the port is taken"):
            await CloudServer(ServerConfig(host="localhost", port=port), GatedModel()).start()
    async with CloudServer(ServerConfig(host="localhost", port=port), GatedModel()):
        pass  # the other half was given back


def test_each_reason_is_told() -> None:
    def fail(where: str) -> int:
        raise RuntimeError(where)

    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:50051: the host is not this machine's"):
        listen("192.0.2.1", 50051, fail)
    with pytest.raises(ConfigError, match="no address has this name"):
        listen("no-such-host.invalid", 1, fail)
    for number, words in ((errno.EACCES, "below 1024"), (errno.EAFNOSUPPORT, "no IPv6"), (errno.EMFILE, "open files")):
        assert words in str(explain("::", 443, OSError(number, "")))


_LIMITS = """
import logging, resource, sys
logging.basicConfig(format="%(message)s")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))
from cloud_server.listening import raise_descriptor_limit
raise_descriptor_limit(1000)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_the_descriptor_limit_is_raised_and_told_where_it_is_low() -> None:
    def run(hard: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", _LIMITS, str(hard)], capture_output=True, text=True, check=True)

    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] in range(2000):
        pytest.skip("few descriptors are allowed here")
    enough, few = run(2000), run(500)
    assert (enough.stdout.strip(), enough.stderr) == ("2000", "")
    assert few.stdout.strip() == "500"
    assert "allows 500 open descriptors, enough for about 372 devices" in few.stderr


def test_a_table_that_is_nearly_full_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    limit: Callable[[int], tuple[int, int]] = lambda kind: (10, 10)  # noqa: E731
    monkeypatch.setattr("cloud_server.listening.resource.getrlimit", limit)
    monkeypatch.setattr("cloud_server.listening.os.listdir", lambda folder: ["0"] * 10)
    listening.warn_if_descriptors_run_out()
    assert "10 of 10 descriptors are open" in caplog.text
