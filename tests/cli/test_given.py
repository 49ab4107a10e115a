"""Options that contradict one another."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from edge_sdk.cli.given import given, refuse_pretrained, refuse_together, refuse_without


@click.command()
@click.argument("word", required=False)
@click.option("--near", default="x")
@click.option("--far", is_flag=True)
@click.option("--deep", "depth", type=int)
def command(**values: object) -> None:
    refuse_together(("--near", "--far", "a place is one of them"))
    refuse_without(("--deep", "--far", "depth is of far places"))
    click.echo(",".join(sorted(given())))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "\n"),
        (["word", "--near", "x"], "--near\n"),  # given, though it is the default
        (["--far", "--deep", "3"], "--deep,--far\n"),
        (["--far", "--near", "x"], "expected --near or --far, not both: a place is one of them"),
        (["--deep", "3"], "expected --far with --deep: depth is of far places"),
    ],
)
def test_contradictions_are_told(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(command, arguments)
    assert told in result.output
    assert result.exit_code == (2 if "expected" in told else 0)


def test_pretrained_weights_are_of_timm_names() -> None:
    refuse_pretrained(["m.safetensors"], False)
    refuse_pretrained(["m.safetensors", "resnet18"], True)
    with pytest.raises(click.UsageError, match=r"expected a timm name with --pretrained; m.pth has weights of its own"):
        refuse_pretrained(["m.pth"], True)
    with pytest.raises(click.UsageError, match=r"trailcam, a/b have weights"):
        refuse_pretrained(["trailcam", "a/b"], True)
