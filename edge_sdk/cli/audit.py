"""`edge-sdk audit`: whether exits still agree with the big model, and people's labels of audited frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.contact_sheet import write_sheet
from edge_sdk.cli.device import bundle_of, device_options, open_journal
from edge_sdk.cli.options import FILE, OLD_FILE, option, picture_option, writable
from edge_sdk.terminal.command import NO, need
from edge_sdk.terminal.text import literal

if TYPE_CHECKING:
    from edge_sdk.model.evidence import Estimate, Evidence
    from edge_sdk.store.audits import Difference
    from edge_sdk.store.journal import Journal
    from edge_sdk.terminal.tables import Facts, Rows
    from edge_sdk.types import Image

COLUMNS = ("frame_id", "captured_at", "device", "big", "picture", "label")
"""Of the CSV for people; they fill the last one, - where no class fits."""
_TILE, _ACROSS = (320, 240), 6


@click.group(invoke_without_command=True)
@device_options(bundle=True)
@click.option("--json", "as_json", is_flag=True, help="Print the evidence as one JSON object.")
@option("--sheet", type=FILE, callback=writable, metavar="PICTURE", help="Draw the frames on which the models differ.")
@option("--csv", "table", type=FILE, callback=writable, help="Write these frames as a CSV for people to label.")
@picture_option("Draw the evidence over time here (workbench).")
@click.pass_context
def audit(
    context: click.Context,
    bundle: str | None,
    state: Path | None,
    as_json: bool,
    sheet: Path | None,
    table: Path | None,
    picture: Path | None,
) -> None:
    """Say whether exits still agree with the big model.

    Judges by the confident frames and events that were sent all the same (`Preferences.audit`). The exit code is 1 if
    the promise of calibration no longer holds.
    """
    if context.invoked_subcommand is not None:
        return
    if picture is not None:
        need("matplotlib")
    import msgspec

    from edge_sdk.model.bundle import open_bundle
    from edge_sdk.model.evidence import weigh
    from edge_sdk.terminal.text import open_console, say

    opened = open_bundle(bundle_of(bundle))
    with open_journal(state, bundle) as journal:
        audits = journal.audits(opened.manifest.answers_as)
        evidence = weigh(audits, opened.policy)
        if as_json:
            click.echo(msgspec.json.encode(evidence).decode())
        else:
            console = open_console()
            console.print(facts(evidence))
            if evidence.drawn:
                console.print(strata(evidence))
            say(console, evidence.sentence())
        if table is not None:
            _write_csv(table, audits.differences)
        if sheet is not None:
            write_sheet(sheet, lambda: _drawn(journal, audits.differences))
    if picture is not None:
        from edge_sdk.workbench.draw_audits import draw_audits

        draw_audits(picture, audits, opened.policy, f"audits of {opened.manifest.name}")
    if evidence.broken:
        context.exit(NO)


@audit.command()
@click.argument("frame_id", metavar="FRAME_ID")
@click.argument("label")
@device_options()
def label(frame_id: str, label: str, state: Path | None) -> None:
    """Write down what a frame shows: a class, or - where none fits."""
    _label(state, {frame_id: label})


@audit.command("import")
@click.argument("table", metavar="CSV", type=OLD_FILE)
@device_options()
def import_(table: Path, state: Path | None) -> None:
    """Write down the labels of a CSV with the columns frame_id and label; rows without a label are passed over."""
    import csv

    from edge_sdk.errors import ConfigError

    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := {"frame_id", "label"} - set(reader.fieldnames or ()):
                raise ConfigError(f"{table}: expected the columns frame_id and label; {', '.join(missing)} is missing")
            rows = [(row["frame_id"], (row["label"] or "").strip()) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"expected a CSV in UTF-8 at {table}; {error}") from error
    _label(state, {frame_id: said for frame_id, said in rows if said})


def _label(state: Path | None, truths: dict[str, str]) -> None:
    from edge_sdk.errors import ConfigError
    from edge_sdk.store.truths import write_truths

    with open_journal(state) as journal:
        unknown = write_truths(journal.folder, truths)
    click.echo(literal(f"{len(truths) - len(unknown)} frames labelled"))
    if unknown:
        raise ConfigError(f"expected ids of frames in the journal; it does not have {', '.join(unknown[:5])}")


def facts(evidence: Evidence) -> Facts:
    """The evidence as names and values."""
    from edge_sdk.terminal.tables import Facts

    def said(estimate: Estimate | None, none: str) -> str:
        return none if estimate is None else f"{estimate.text()} from {estimate.frames} audits"

    unit = "events" if 2 * evidence.events > evidence.exits else "frames"
    lost = evidence.drawn - evidence.answered - evidence.waiting
    table = Facts("Audits")
    events = f", {evidence.events:,} of them events" if evidence.events else ""
    table.add("exits that could be audited", f"{evidence.exits:,}{events}")
    table.add("audits", f"{evidence.drawn:,}: {evidence.answered:,} answered, {evidence.waiting} wait, {lost} lost")
    table.add("the big model says another label", said(evidence.differs, "no answer yet"))
    promised = "unknown" if evidence.promised is None else f"at most {evidence.promised:.2%}"
    table.add("promised", promised + (f", of {evidence.unpromised:,} exits nothing" if evidence.unpromised else ""))
    limit = 1 / evidence.delta
    table.add("evidence against the promise", f"{evidence.e_value:.3g} (alarm at {limit:g}; 1 is none)")
    table.add("wrong, by people's labels", said(evidence.wrong, "no labels"))
    table.add("accuracy that exits lose against the big model", said(evidence.loss, "no labels"))
    if evidence.promised_loss is not None:
        table.add("promised loss", f"at most {evidence.promised_loss:.2%} of all {unit}")
    if evidence.loss is not None:
        of_all = evidence.exit_share * evidence.loss.share
        table.add(f"loss as a share of all {unit}", f"{of_all:.2%} ({evidence.exit_share:.1%} of them exit)")
    return table


def strata(evidence: Evidence) -> Rows:
    """The counts by chance."""
    from edge_sdk.terminal.tables import Rows

    table = Rows("By chance of an audit", ("of", "chance", "exits", "audits", "answered", "differ", "labelled"))
    for one in evidence.counts:
        if one.chance > 0:
            counts = (one.frames, one.drawn, one.answered, one.differ, one.labelled)
            of = "events" if one.events else "frames"
            table.add(of, f"{one.chance:.2%}", *(f"{count:,}" for count in counts))
    return table


def _write_csv(path: Path, differences: tuple[Difference, ...]) -> None:
    import csv
    from io import StringIO

    from edge_sdk.durable.files import write_whole

    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in differences:
        captured = one.captured_at.isoformat()
        writer.writerow((one.frame_id, captured, one.device, one.big, one.picture or "", one.truth or ""))
    write_whole(path, text.getvalue())
    click.echo(literal(f"{path}: {len(differences)} frames"), err=True)


def _drawn(journal: Journal, differences: tuple[Difference, ...]) -> Image:
    """The frames on which the models differ, those without a person's label first.

    Raises:
        ConfigError: none of their pictures is kept.
    """
    from edge_sdk.errors import ConfigError
    from edge_sdk.images.read import decode_image
    from edge_sdk.images.tiles import sheet_of, tile_of
    from edge_sdk.store.picture import read_picture

    tiles = []
    for one in sorted(differences, key=lambda one: one.truth is not None):
        entry = journal.entry(one.frame_id)
        item = None if entry is None else read_picture(journal.folder, entry)
        if item is not None:
            text = f"{one.frame_id[-6:]} {one.device} / {one.big}{'' if one.truth is None else f' = {one.truth}'}"
            tiles.append(tile_of(decode_image(item.image).image, text, _TILE))
    if not tiles:
        raise ConfigError(
            "expected pictures of audited frames on which the models differ; none is kept: keep pictures with "
            "StorageSettings(archive=...)"
        )
    return sheet_of(tiles, _ACROSS)
