"""Options that several commands share."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from edge_sdk.cli import options
from edge_sdk.cli.weights_option import WeightsFile
from edge_sdk.images.rendition import MIN_SIDE, Upload
from edge_sdk.workbench.cascade.threshold_search import METHODS
from edge_sdk.workbench.encodings import FORMATS, QUALITIES
from edge_sdk.workbench.labelled import Split


@click.command()
@options.data_option(old_names=("--images",))
@options.out_option("A file.", required=False)
@click.option("--size", callback=options.parse_size)
@click.option("--bytes", "size_in_bytes", callback=options.parse_bytes)
@click.option("--model-option", multiple=True, callback=options.parse_name_values)
@options.upload_option("An encoding.")
def command(**given: object) -> None:
    click.echo(repr({name: value for name, value in given.items() if value not in (None, {})}))


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_an_old_name_works_and_is_not_shown() -> None:
    assert invoke("--images", "photos").output == "{'data': 'photos'}\n"
    assert "--images" not in invoke("--help").output
    assert "Missing option '--data'" in invoke().output


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("--size", "128x96", (128, 96)),
        ("--bytes", "38MB", 38e6),
        ("--bytes", "1.5k", 1500.0),
        ("--upload", "640@85.webp", Upload(640, 85, "webp")),
        ("--model-option", "layers=[1,2]", {"layers": [1, 2]}),
        ("--model-option", "pool=avg", {"pool": "avg"}),
    ],
)
def test_values_are_read(name: str, text: str, value: object) -> None:
    assert repr(value) in invoke("--data", "x", name, text).output


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("--size", "12", "WIDTHxHEIGHT"),
        ("--size", "0x12", "WIDTHxHEIGHT"),
        ("--bytes", "many", "38MB"),
        ("--upload", "640", "LONGER_SIDE@QUALITY"),
        ("--upload", "640@101", "LONGER_SIDE@QUALITY"),
        ("--model-option", "pool", "NAME=VALUE"),
    ],
)
def test_bad_values_are_told(name: str, text: str, told: str) -> None:
    done = invoke("--data", "x", name, text)
    assert done.exit_code == 2 and told in done.output


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for below in ("file/x.png", "file/a/b.png"):
        done = invoke("--data", "x", "--out", str(tmp_path / below))
        assert done.exit_code == 2 and "is not a folder" in done.output
    assert invoke("--data", "x", "--out", str(tmp_path / "a" / "b.png")).exit_code == 0
    assert not (tmp_path / "a").exists()


def test_what_help_lists_is_what_the_workbench_has() -> None:
    sequence, records, ladder = (import_module(f"edge_sdk.cli.{name}") for name in ("sequence", "records", "ladder"))
    assert sequence.METHODS == METHODS
    assert tuple(one.value for one in Split) == records.SPLITS
    assert (ladder.FORMATS, ladder.QUALITIES, ladder.MIN_SIDE) == (FORMATS, QUALITIES, MIN_SIDE)


@click.command()
@click.option("--camera", envvar="EDGE_SDK_CAMERA", callback=options.from_file)
def camera(camera: str) -> None:
    click.echo(camera)


def test_an_address_is_taken_from_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "camera.txt").write_bytes(b"\xef\xbb\xbf rtsp://user:secret@cam/1 \r\nmore\n")
    asked = ["--camera", f"@{tmp_path / 'camera.txt'}"]
    assert CliRunner().invoke(camera, asked).output == "rtsp://user:secret@cam/1\n"
    assert CliRunner(env={"EDGE_SDK_CAMERA": asked[1]}).invoke(camera).output == "rtsp://user:secret@cam/1\n"
    assert CliRunner().invoke(camera, ["--camera", "0"]).output == "0\n"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"", "an empty line"), (b"\xff", "expected UTF-8")]
)
def test_a_file_without_an_address_is_an_error(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "camera.txt").write_bytes(content)
    result = CliRunner().invoke(camera, ["--camera", f"@{tmp_path / 'camera.txt'}"])
    assert result.exit_code == 2 and said in result.output


@click.command()
@options.big_option()
@options.label_map_option()
@click.option("--checkpoint", type=WeightsFile())
def models(**given: object) -> None:
    click.echo(repr({name: value for name, value in given.items() if value not in (None, {})}))


def test_an_architecture_is_joined_to_its_file(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(models, ["--big", "x/net.pth", "--arch", "resnet18"]).output == "{'big': 'resnet18=x/net.pth'}\n"
    assert run(models, ["--arch", "resnet18", "--big", "net.pth"]).output == "{'big': 'resnet18=net.pth'}\n"
    assert run(models, ["--big", "trailcam"]).output == "{'big': 'trailcam'}\n"
    assert "an architecture is for a file of weights" in run(models, ["--big", "trailcam", "--arch", "resnet18"]).output
    file = tmp_path / "net.pth"
    file.touch()
    for name in (str(file), f"resnet18={file}"):
        assert name in run(models, ["--big", "trailcam", "--checkpoint", name]).output
    assert "there is no file" in run(models, ["--big", "trailcam", "--checkpoint", "resnet18=none.pth"]).output


def test_a_group_of_labels_is_a_label_map(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "'tabby': 'cat'" in run(models, ["--big", "trailcam", "--label-group", "animals"]).output
    (tmp_path / "map.json").write_text('{"a": "b"}')
    both = ["--label-group", "animals", "--label-map", str(tmp_path / "map.json")]
    assert "not both" in run(models, ["--big", "trailcam", *both]).output
    assert "animals" in run(models, ["--big", "trailcam", "--label-group", "plants"]).output
