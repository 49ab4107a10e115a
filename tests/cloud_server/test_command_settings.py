from __future__ import annotations

from pathlib import Path

import click
import pytest

from cloud_server.cli import main as command
from cloud_server.command_settings import Settings, settings_of, state_folder
from edge_sdk.errors import ConfigError


def settings(*arguments: str) -> Settings:
    with command.make_context("cloud-server", list(arguments)) as context:
        return settings_of(context)


def test_answers_are_kept_for_each_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder(None, 50051) == tmp_path / "cloud-server" / "50051"
    assert state_folder(None, 0) is None
    assert state_folder("none", 50051) is None
    assert state_folder("/var/lib/cloud", 0) == Path("/var/lib/cloud")


def test_options_become_settings() -> None:
    config = settings("--http", "127.0.0.1:0", "--max-pixels", "7", "--archive-limit", "1MB", "--port", "0").config
    assert (config.http_host, config.http_port) == ("127.0.0.1", 0)
    assert (config.limits.max_pixels, config.archive_limit_bytes, config.state) == (7, 1_000_000, None)
    assert (config.model, config.config_file, config.tls) == ("trailcam", None, None)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--http", "a:1", "--http-port", "2"], click.UsageError, "--http HOST:PORT or --http-port; got both"),
        (["--label-map", "x", "--label-group", "coarse"], click.UsageError, "--label-map or --label-group"),
        (["--arch", "resnet18"], click.UsageError, "--arch: an architecture is for a file of weights"),
        (["--tls-cert", "x"], ConfigError, "expected --tls-cert and --tls-key together"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        settings(*arguments)


def test_the_command_line_goes_over_what_the_file_says_in_another_way(tmp_path: Path) -> None:
    path = tmp_path / "cloud-server.toml"
    path.write_text('http_host = "127.0.0.2"\nhttp_port = 9\n[[models]]\nname = "a"\nweights = "trailcam"\n')
    config = settings("--config", str(path)).config
    assert (config.http_host, config.http_port, config.models) == ("127.0.0.2", 9, path)
    assert config.config_file == path
    config = settings("--config", str(path), "--http", "127.0.0.1:8", "--label-group", "coarse", "--model", "x").config
    assert (config.http_host, config.http_port, config.models, config.model) == ("127.0.0.1", 8, None, "x")
    assert (config.label_map, config.label_group) == (None, "coarse")
    path.write_text('label_map = "map.json"\nmodel = "x"\n')
    config = settings("--config", str(path), "--models", "models.toml").config
    assert (config.models, config.model, config.label_map) == (Path("models.toml"), "trailcam", None)
    path.write_text('http = "127.0.0.2:9"\n')
    config = settings("--config", str(path), "--http-port", "8").config
    assert (config.http_host, config.http_port) == ("127.0.0.1", 8)
    path.write_text('http = "127.0.0.2:9"\nhttp_port = 8\n')
    with pytest.raises(click.UsageError, match="got both"):
        settings("--config", str(path))


@pytest.mark.parametrize("key", ["model", "arch", "label_map", "label_group"])
def test_what_holds_for_one_model_alone_is_refused_beside_several(tmp_path: Path, key: str) -> None:
    option, value = f"--{key.replace('_', '-')}", {"model": "trailcam", "label_group": "coarse"}.get(key, "resnet18")
    models = '[[models]]\nname = "a"\nweights = "trailcam"\n'
    path = tmp_path / "cloud-server.toml"
    path.write_text(f'{key} = "{value}"\n{models}')
    with pytest.raises(click.UsageError, match=f"expected {option} or several models, not both"):
        settings("--config", str(path))
    with pytest.raises(click.UsageError, match=f"expected {option} or several models, not both"):
        settings(option, value, "--models", str(path))
    if key.startswith("label"):
        path.write_text(models)
        with pytest.raises(click.UsageError, match=f"expected {option} or several models, not both"):
            settings("--config", str(path), option, value)
