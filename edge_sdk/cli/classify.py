"""`edge-sdk classify`: the little model's answers on pictures."""

from __future__ import annotations

from pathlib import Path

import click

from edge_sdk.cli.options import bundle_option
from edge_sdk.errors import EdgeError
from edge_sdk.terminal.command import ERROR, warn
from edge_sdk.terminal.text import literal


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@bundle_option(shipped=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_context
def classify(context: click.Context, pictures: tuple[Path, ...], bundle: str, as_json: bool) -> None:
    """Classify PICTURES with the little model, and say which of them would go to the cloud.

    A picture that cannot be read is reported, and the others are classified; the exit code is then 2.
    """
    import msgspec

    from edge_sdk.images.read import read_image
    from edge_sdk.model.little import LittleModel
    from edge_sdk.model.made_for import doubt
    from edge_sdk.model.policy import ExitPolicy

    failed = False
    with LittleModel(bundle) as model:
        policy = ExitPolicy(model.bundle.policy)
        if text := doubt(model.manifest, str(pictures[0])):
            warn("edge-sdk", text)
        for path in pictures:
            try:
                prediction = model.predict(read_image(path).image)
            except EdgeError as error:
                failed = True
                warn("edge-sdk", error if str(path) in str(error) else f"{path}: {error}")
                continue
            exits = policy.decide(prediction).exits
            if as_json:
                shares = dict(zip(prediction.labels, prediction.probabilities.tolist(), strict=True))
                line = {"source": str(path), "label": prediction.label, "exits": exits, "probabilities": shares}
                click.echo(msgspec.json.encode(line).decode())
            else:
                word = "exit" if exits else "offload"
                click.echo(literal(f"{path}: {prediction.label} {prediction.confidence:.2f} ({word})"))
    if failed:
        context.exit(ERROR)
