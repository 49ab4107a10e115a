"""The keys of the config file are the command's options, whichever it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.cli import main as command
from cloud_server.config_file import options_of, read_config

OPTIONS = options_of(command)
CALLED_BACK: dict[str, st.SearchStrategy[Any]] = {
    "archive_limit": st.sampled_from(["1GB", "500MB", "7", "1.5kB"]),
    "http": st.sampled_from(["127.0.0.1:8080", "[::]:1"]),
    "page_proxy": st.just("127.0.0.1=X-User"),
    "models": st.sampled_from(["/a/models.toml", "/b.toml"]),
    "model": st.sampled_from(["trailcam", "/no/such.safetensors"]),
    "database": st.just("postgresql://me@here/fleet"),
    "state": st.sampled_from(["none", "/var/lib/x"]),
}


def values_of(option: click.Option) -> st.SearchStrategy[Any]:
    """What a config file may say of an option."""
    kind = option.type
    if option.name in CALLED_BACK:
        return CALLED_BACK[option.name]
    if option.is_flag:
        return st.just(True)
    if isinstance(kind, click.Choice):
        return st.sampled_from([str(one) for one in kind.choices])
    if isinstance(kind, click.IntRange):
        return st.integers(int(kind.min or 0), int(kind.max or 10**9))
    if isinstance(kind, click.FloatRange):
        low = float(kind.min or 0)
        return st.floats(low, kind.max, exclude_min=kind.min_open, allow_infinity=kind.max is None, allow_nan=False)
    if isinstance(kind, click.Path):
        return st.sampled_from(["/etc/x", "/var/lib/y"])
    return st.sampled_from(["fe80::1", "localhost"])


@st.composite
def somes(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.sets(st.sampled_from(sorted(OPTIONS)), max_size=8))
    return {name: draw(values_of(OPTIONS[name])) for name in sorted(names)}


def toml(values: dict[str, Any]) -> str:
    def written(value: Any) -> str:
        return repr(value) if isinstance(value, float) else json.dumps(value)

    return "".join(f"{name} = {written(value)}\n" for name, value in values.items())


def words(values: dict[str, Any]) -> list[str]:
    """The same as a command line."""
    found = []
    for name, value in values.items():
        flag = "--" + name.replace("_", "-")
        found += [flag] if value is True else [f"{flag}={value}"]
    return found


def params(arguments: list[str]) -> dict[str, Any]:
    with command.make_context("cloud-server", list(arguments)) as context:
        return {name: value for name, value in context.params.items() if name != "config"}


@given(somes(), somes())
def test_a_file_says_what_the_command_line_says_and_that_goes_over_it(
    tmp_path_factory: pytest.TempPathFactory, in_file: dict[str, Any], on_line: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "some.toml"
    path.write_text(toml(in_file))
    assert params(["--config", str(path)]) == params(words(in_file))
    both = words(in_file | on_line)
    assert params(["--config", str(path), *words(on_line)]) == params(both)
    assert params([*words(on_line), "--config", str(path)]) == params(both)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_value_of_another_kind_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cloud-server.toml"
    for wrong in ("[[1]]", "1979-05-27", '""', "{ a = 1 }"):
        path.write_text(f"# the first line\n{name} = {wrong}\n")
        file, values = read_config(path, command)
        assert values == {} and len(file.faults) == 1
        assert file.told()[0].startswith(f"{path}:2: expected ")


FAULTS = [
    ("port = 70000", "expected port as a whole number from 0 to 65535; got 70000"),
    ("port = true", "expected port as a whole number from 0 to 65535; got true"),
    ('port = "50051"', 'expected port as a whole number from 0 to 65535; got "50051"'),
    ("max_frames_per_s = 0", "expected max_frames_per_s as a number above 0; got 0"),
    ("archive_fraction = 2", "expected archive_fraction as a number above 0, up to 1; got 2"),
    ('device = "gpu"', 'expected device as one of auto, cpu, cuda; got "gpu"'),
    ('look = "frames"', 'got "frames"; did you mean frame?'),
    ("insecure = 1", "expected insecure as true or false; got 1"),
    ('http = "8080"', "http: expected HOST:PORT"),
    ('page_proxy = "127.0.0.1.5=X-User"', "page_proxy: expected ADDRESS=HEADER"),
    ('archive_limit = "lots"', "archive_limit: expected bytes such as 2GB"),
    ("max-batch = 3", "expected a key of `cloud-server --help`; got 'max-batch'; did you mean max_batch?"),
    ('config = "x"', "expected a key of `cloud-server --help`; got 'config'"),
    ("models = 3", "expected at least one [[models]] table"),
]


@pytest.mark.parametrize(("line", "words"), FAULTS)
def test_a_fault_says_what_was_expected_and_came(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "cloud-server.toml"
    path.write_text(f"\n{line}\n")
    (fault,) = read_config(path, command)[0].told()
    assert fault.startswith(f"{path}:2: ") and words in fault


def test_paths_are_beside_the_file_and_other_names_are_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "cloud-server.toml"
    (tmp_path / "big.safetensors").touch()
    path.write_text('model = "big.safetensors"\ntokens = "keys/tokens"\nstate = "none"\ndatabase = "fleet.db"\n')
    assert read_config(path, command)[1] == {
        "model": str(tmp_path / "big.safetensors"),
        "tokens": str(tmp_path / "keys" / "tokens"),
        "state": "none",
        "database": str(tmp_path / "fleet.db"),
    }
    path.write_text('model = "trailcam"\ndatabase = "postgresql://h/d"\nstate = "state"\n')
    values = read_config(path, command)[1]
    assert (values["model"], values["database"]) == ("trailcam", "postgresql://h/d")
    assert values["state"] == str(tmp_path / "state")


def test_models_stand_in_the_same_file_or_in_one_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "cloud-server.toml"
    path.write_text('port = 0\n[[models]]\nname = "a"\nweights = "trailcam"\n')
    file, values = read_config(path, command)
    assert (file.faults, values) == ([], {"port": 0, "models": str(path)})
    path.write_text('models = "models.toml"\n')
    assert read_config(path, command)[1] == {"models": str(tmp_path / "models.toml")}
    path.write_text('prot = 0\n[[models]]\nname = "a"\n')
    assert [line.partition(": ")[0] for line in read_config(path, command)[0].told()] == [f"{path}:1", f"{path}:2"]


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12)
    | st.sampled_from(["none", "trailcam", "127.0.0.1:1", "2GB", "a=b"]),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(["name", "weights", "x"]), some),
    max_leaves=5,
)


def anything(value: Any) -> str:
    """A value as TOML has it; there is no null."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {anything(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(anything, value)) + "]"
    return repr(value) if isinstance(value, float) else json.dumps("" if value is None else value, ensure_ascii=False)


@given(st.dictionaries(st.sampled_from(["prot", "x", *OPTIONS]), ANY, max_size=6))
def test_whatever_stands_in_a_file_is_a_value_or_a_fault(
    tmp_path_factory: pytest.TempPathFactory, given_values: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text("".join(f"{key} = {anything(value)}\n" for key, value in given_values.items()))
    file, values = read_config(path, command)
    blamed = {list(given_values)[line - 1] for line, _ in file.faults}
    assert values.keys() | blamed == given_values.keys() and not values.keys() & blamed
    path.write_text("".join(f"{key} = {anything(given_values[key])}\n" for key in values))
    with command.make_context("cloud-server", ["--config", str(path)]) as context:  # what is no fault is taken
        assert context.params["config"] == path


def test_a_home_that_nobody_has_stays_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text('archive = "~nobody-of-this-name/frames"\nreports = "~/reports"\n')
    file, values = read_config(path, command)
    assert not file.faults and values["archive"] == str(tmp_path / "~nobody-of-this-name/frames")
    assert values["reports"] == str(Path.home() / "reports")


@pytest.mark.parametrize(("given", "address"), [("0:0::1", "::1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("::1", "::1")])
def test_a_proxys_address_is_compared_in_its_usual_form(given: str, address: str) -> None:
    assert params(["--page-proxy", f"{given}=X-User"])["page_proxy"] == (address, "X-User")
