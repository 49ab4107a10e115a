from __future__ import annotations

from pathlib import Path

import pytest

from cloud_server.cli import main as command
from cloud_server.config_check import Checked, check

MODELS = '\n[[models]]\nname = "a"\nweights = "trailcam"\n'


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("port = 0\n", []),
        ("port = 0\n" + MODELS, []),
        ("a = \n", ["1: expected TOML"]),
        ('tokens = "none"\nport = "x"\n', ["1: cannot read the tokens file", "2: expected port"]),
        ('port = 0\nhost = "0.0.0.0"\n', ["2: expected an encrypted link on 0.0.0.0"]),
        ('port = 0\ntls_cert = "a"\n', ["2: expected --tls-cert and --tls-key together"]),
        ('port = 0\nhttp_port = 1\nhttp = "[::]:2"\n', ["2: expected --http HOST:PORT or --http-port; got both"]),
        ("port = 0\npage = true\n", ["2: expected --reports FOLDER and --http HOST:PORT with --page"]),
        ('model = "trailcm"\n', ["1: expected a shipped model (trailcam)"]),
        (
            '\nmodel = "big.safetensors"\n',
            ["2: expected a file of weights or a bundle as /"],
        ),
        ('label_map = "list.json"\n', ["1: expected {"]),
        ('limits = "limits.toml"\n', ["1: expected max_frames_per_s, burst"]),
        ('tls_cert = "list.json"\ntls_key = "list.json"\n', ["1: "]),
        ('settings_key = "none"\nreports = "r"\n', ["1: cannot read the settings key"]),
        ('models = "limits.toml"\n', ["1: "]),
        (MODELS.replace("trailcam", "trailcm"), ["4: expected a shipped model"]),
        (MODELS + 'label_map = "list.json"\n', ["5: expected {"]),
        (MODELS + "share = 0.5\n", ["2: expected exactly one 'a' without a share"]),
        (
            "max_wait_ms = nan\nmax_queue_s = nan\n",
            ["1: expected max_wait_ms as a number of at least 0; got NaN", "2: expected max_queue_s"],
        ),
        (
            "threads = 100000\nmax_image_bytes = 2000000000\n",
            [
                "1: expected threads as a whole number from 1 to 1024",
                "2: expected max_image_bytes as a whole number from",
            ],
        ),
        ('database = "mysql://host/fleet"\n', ["1: expected a path, or postgresql://"]),
        ('traces = "collector"\n', ["1: expected an OTLP collector"]),
        (
            'speed = 1\n[[models]]\nname = "a b"\nweights = "trailcm"\n[[models]]\nname = "c"\nweights = "trailcam"\n'
            'label_map = "list.json"\n',
            ["1: expected a key", "3: expected name", "4: expected a shipped model", "8: expected {"],
        ),
        (
            MODELS + 'archive = "frames"\n[[models]]\nname = "b"\nweights = "trailcam"\narchive = "./frames/b"\n',
            ["9: expected a folder of its own as archive of 'b', outside that of 'a'"],
        ),
        (
            'archive = "frames"\n' + MODELS + 'archive = "frames/a"\n',
            ["6: expected a folder of its own as archive of 'a', outside that of the server"],
        ),
        ('port = 0\nlabel_map = "map.json"\n' + MODELS, ["2: expected --label-map or several models, not both"]),
        ('model = "trailcam"\n' + MODELS, ["1: expected --model or several models, not both"]),
    ],
)
def test_all_faults_are_told_with_their_lines(tmp_path: Path, text: str, faults: list[str]) -> None:
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "limits.toml").write_text("speed = 1\n")
    (tmp_path / "map.json").write_text('{"*": "other"}')
    path = tmp_path / "cloud-server.toml"
    path.write_text(text)
    found = check(path, command).faults
    assert len(found) == len(faults), found
    for fault, begins in zip(found, faults, strict=True):
        assert fault.startswith(f"{path}:{begins}")


def test_it_counts_what_it_checked(tmp_path: Path) -> None:
    path = tmp_path / "cloud-server.toml"
    path.write_text("port = 0\nburst = 3\n" + MODELS + "[[models]]\nname = 'b'\nweights = 'trailcam'\n")
    assert check(path, command) == Checked([], settings=2, models=2)
    assert check(tmp_path / "none.toml", command).faults[0].startswith(f"{tmp_path}/none.toml:1: cannot read")


@pytest.mark.parametrize(
    ("content", "begins"),
    [(b'port = 0\nhost = "caf\xe9"\n', "2: expected UTF-8"), (b"port = 0\nhost =\n", "2: expected TOML")],
)
def test_a_file_that_cannot_be_read_is_told_once_with_its_line(tmp_path: Path, content: bytes, begins: str) -> None:
    path = tmp_path / "my server.toml"
    path.write_bytes(content)
    (fault,) = check(path, command).faults
    assert fault.startswith(f"{path}:{begins}")
