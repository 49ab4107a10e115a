"""`edge-sdk records`: what models say of labelled pictures, kept in files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.cli.given import refuse_pretrained, refuse_together, refuse_without
from edge_sdk.cli.options import (
    OLD_FILE,
    check_names,
    data_option,
    label_map_option,
    out_option,
    parse_macs,
    pretrained_option,
    region_upload_option,
    regions_options,
    served_big,
    threads_option,
    upload_option,
    view_option,
)
from edge_sdk.cli.regions import TWO_FINDERS, check_finding, regions_line
from edge_sdk.terminal.command import need, when_stopped

if TYPE_CHECKING:
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.workbench.subjects import Subject

SPLITS = ("train", "val", "calibration", "test", "all")
_SPLIT = "Part of the data.  [default: calibration of the simulated camera, all of a folder]"
_CSV = (
    "Import a third party's records of the same pictures: columns id (the path below the folder), predicted, "
    "probability; the model has the file's name; may be repeated."
)
_SEND = "With --upload: what of a picture is sent where something moved."
_MACS = "Multiply-accumulates per picture of an imported model, such as theirs=4.1G; may be repeated."


@click.command()
@click.argument("models", nargs=-1)
@data_option(note="To run the models on.")
@label_map_option()
@click.option("--split", type=click.Choice(SPLITS), help=_SPLIT)
@out_option("Folder of the records.", folder=True)
@pretrained_option()
@upload_option("Run all but the little model, a bundle or else the smallest, on pictures as this encoding leaves them.")
@view_option("What of a picture the little model looks at.  [default: as the bundle's manifest says, else the frame]")
@regions_options()
@click.option("--send", type=click.Choice(("frame", "region")), default="frame", show_default=True, help=_SEND)
@region_upload_option("With --send region: how it is encoded.  [default: as --upload]")
@threads_option(" of networks in torch; of bundles too where it is given, else they run as on the device, with one")
@click.option("--csv", "csvs", multiple=True, type=OLD_FILE, help=_CSV)
@click.option("--macs", multiple=True, callback=parse_macs, metavar="NAME=MACS", help=_MACS)
def records(
    models: tuple[str, ...],
    data: str,
    label_map: dict[str, str],
    split: str | None,
    out: Path,
    pretrained: bool,
    upload: Any,
    view: str | None,
    detector: Path | None,
    boxes: Path | None,
    send: str,
    region_upload: Any,
    threads: int | None,
    csvs: tuple[Path, ...],
    macs: dict[str, int],
) -> None:
    """Run MODELS over labelled pictures and keep what each says.

    MODELS are bundles, checkpoints or timm names; with --csv there need be none. If stopped, the same command
    continues.
    """
    if not models and not csvs:
        raise click.UsageError("expected MODELS to run, or --csv with the records of another program")
    refuse_without(("--macs", "--csv", "models of files have theirs"), ("--send", "--upload", "else nothing is sent"))
    refuse_pretrained(models, pretrained)
    refuse_together(TWO_FINDERS)
    check_names(macs, [path.stem for path in csvs])
    need(*(("torch", "timm") if models else ()), "scipy")
    from edge_sdk.terminal.progress import loading, progress_bars, shown_by
    from edge_sdk.terminal.text import open_console, say

    console = open_console()
    with loading(console):
        from edge_sdk.types import View
        from edge_sdk.workbench.data import measuring_split, open_source
        from edge_sdk.workbench.labelled import Split
        from edge_sdk.workbench.looks import photo_regions
        from edge_sdk.workbench.recorder import write_records
        from edge_sdk.workbench.records_csv import read_csvs
        from edge_sdk.workbench.records_file import load_records, save_records
        from edge_sdk.workbench.spent import Account
        from edge_sdk.workbench.subjects import as_they_arrive, file_name, open_subject
        from edge_sdk.workbench.threads import take_threads
        from edge_sdk.workbench.truths import truths_in

        taken = take_threads(threads) if models else None
    if taken is not None:
        say(console, taken.sentence())
    at = [0, 0]
    stopped = when_stopped(lambda: f"{at[0]} of {at[1]} pictures done; the same command continues")
    with stopped, progress_bars(console) as bars, Account(file=out / ".spent.json") as account:
        show = shown_by(bars)
        show("read models", 0, len(models))
        source = open_source(data, Split(split) if split else measuring_split(data))
        subjects = []
        for name in models:
            subjects.append(open_subject(name, pretrained=pretrained, threads=threads or 1))
            show("read models", len(subjects), len(models))
        tell_apart(models, subjects)
        if upload is not None:
            subjects = as_they_arrive(models, subjects, upload, send=View(send), region_upload=region_upload)
            for one in subjects:
                seen = "as the device sees them" if one.upload is None else f"as {upload.name} leaves them"
                say(console, f"{one.info.model}: pictures {seen}")
        if view is not None:
            subjects = [one if one.upload else one.looking_at(View(view)) for one in subjects]
        if label_map:
            subjects = map_labels(subjects, label_map)
        finding = check_finding(detector, boxes, [one.view for one in subjects])
        if any(one.view is not View.FRAME for one in subjects):
            source = photo_regions(source, finding)

        def on_done(done: int, of: int) -> None:
            at[:] = done, of
            account.note()
            show("pictures", done, of)

        paths = write_records(subjects, source, out, on_done=on_done) if subjects else []
        spent = account.now()
    truth = load_records(paths[0]) if paths else truths_in(source, data)
    for imported in read_csvs(csvs, truth=truth, macs=macs):
        paths.append(save_records(out / f"{file_name(imported.info.model)}.npz", imported))
    console.print(records_table(paths, out))
    if line := regions_line(truth for truth in map(load_records, paths) if truth.info.view != View.FRAME):
        say(console, line)
    say(console, spent.sentence())


def tell_apart(models: Sequence[str], subjects: Sequence[Subject]) -> None:
    """Check that the models have different names.

    Raises:
        click.UsageError: two have one; where the big model that ships was meant, its file is told.
    """
    from edge_sdk.errors import WorkbenchError
    from edge_sdk.workbench.subjects import check_names

    try:
        check_names(models, subjects)
    except WorkbenchError as error:
        files = [served_big(name)[0] for name in models if served_big(name)[1]]
        big = f". The big model of that name is {files[0]}" if files else ""
        raise click.UsageError(f"{error}{big}") from None


def map_labels(subjects: Sequence[Subject], label_map: dict[str, str]) -> list[Subject]:
    """The models that have the map's labels with the labels that it leads to; the others as they are.

    Raises:
        ConfigError: no model has all of the map's labels.
    """
    from edge_sdk.networks.label_map import REST
    from edge_sdk.workbench.subjects import with_label_map

    fine = set(label_map) - {REST}
    fits = [fine <= set(one.info.labels) and set(label_map.values()) != set(one.info.labels) for one in subjects]
    if not any(fits):
        return [with_label_map(one, label_map) for one in subjects]  # says which label is missing
    return [with_label_map(one, label_map) if fit else one for one, fit in zip(subjects, fits, strict=True)]


def records_table(paths: Iterable[Path], out: Path) -> Rows:
    """One row for each model."""
    from edge_sdk.terminal.tables import Rows
    from edge_sdk.workbench.records_file import load_records

    table = Rows(f"Records in {out}", ("model", "pictures", "accuracy", "input", "MMAC", "parameters", "latency"))
    for path in paths:
        one = load_records(path)
        info = one.info
        table.add(
            info.model,
            len(one),
            f"{one.accuracy:.1%}",
            f"{info.width}x{info.height}" if info.width else "unknown",
            f"{info.macs / 1e6:.1f}" if info.macs else "unknown",
            f"{info.parameters / 1e6:.2f} M" if info.parameters else "unknown",
            f"{info.latency_ms:.2f} ms" if info.latency_ms else "unknown",
        )
    return table
