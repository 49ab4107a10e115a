"""Real server processes with certificates and tokens, and the keys of a device."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_sdk import EdgeClassifier, Security
from edge_sdk.security.certificates import Authority
from edge_sdk.security.tokens import add_token, new_token

TESTS = Path(__file__).resolve().parent
GATED = """
import sys, cloud_server.models as models
from gated_model import GatedModel
from edge_sdk.model.bundle import open_bundle
GatedModel.labels = open_bundle("trailcam").manifest.labels
models.load_model = lambda *args: GatedModel()
from cloud_server.cli import main
main(sys.argv[1:])
"""


@contextmanager
def serving(log: Path, *options: object, program: str = GATED) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process with a model that costs nothing; its log goes to a file."""
    command = [sys.executable, "-c", program, "--port", "0", "--log-level", "debug", *map(str, options)]
    with log.open("a") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "PYTHONPATH": str(TESTS)}
        )
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), log.read_text()
        yield process, line.split()[-1]
        process.terminate()
        process.wait()
    finally:
        process.kill()
        process.communicate()


class Home:
    """The keys of one authority, and a device with its certificate and token."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "keys")
        self.server = self.authority.issue_server(["127.0.0.1"])
        self.device = self.authority.issue_device("cam-1")
        self.tokens, self.token_file, self.token = folder / "tokens", folder / "token", new_token()
        add_token(self.tokens, "cam-1", self.token)
        self.token_file.write_text(self.token)
        self.token_file.chmod(0o600)

    @property
    def options(self) -> list[object]:
        pair, ca = self.server, self.authority.files.cert
        certificates = ["--tls-cert", pair.cert, "--tls-key", pair.key, "--client-ca", ca]
        return [*certificates, "--tokens", self.tokens]

    def security(self, *, ca: Path | None = None, token: bool = True) -> Security:
        return Security(
            ca=ca or self.authority.files.cert,
            cert=self.device.cert,
            key=self.device.key,
            token_file=self.token_file if token else None,
        )

    def edge(self, target: str, security: Security, **options: object) -> EdgeClassifier:
        state = self.folder / "device"
        return EdgeClassifier("trailcam", cloud=target, state_dir=state, threshold=1.0, security=security, **options)  # type: ignore[arg-type]
