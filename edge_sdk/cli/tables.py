"""Options of `edge-sdk calibrate` for the tables of a bundle: priors of place and season, and the taxonomy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_sdk.cli.given import given
from edge_sdk.cli.options import OLD_FILE
from edge_sdk.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from edge_sdk.model.bundle import Bundle
    from edge_sdk.model.policy import Policy
    from edge_sdk.model.priors import Place
    from edge_sdk.workbench.calibrate_priors import Placed
    from edge_sdk.workbench.records import Records

Command = TypeVar("Command", bound=Callable[..., Any])

_PRIORS = "priors.json: which classes can be expected where and when; its strength is chosen, and the bundle takes it."
_PLACE = "Where the pictures were taken: latitude,longitude in degrees, or a region of the priors."
_TAKEN = "CSV with id, month or date, and perhaps latitude and longitude, or region.  [default: EXIF of the pictures]"
_TAXONOMY = "taxonomy.json: which groups the classes belong to; the bundle takes it, and answers may be groups."
_RIGHT = "Share of the answers, classes or groups, that is promised to be right."
_EXIT = "Frames exit where a group is sure enough."


TABLES = ("priors", "place", "taken", "taxonomy", "rollup_right", "rollup_exit")
"""Names of the options."""


def tables_options() -> Callable[[Command], Command]:
    """`--priors`, `--place`, `--taken`, `--taxonomy`, `--rollup-right` and `--rollup-exit`."""
    options = (
        click.option("--priors", type=OLD_FILE, help=_PRIORS),
        click.option("--place", callback=read_place, metavar="PLACE", help=_PLACE),
        click.option("--taken", type=OLD_FILE, help=_TAKEN),
        click.option("--taxonomy", type=OLD_FILE, help=_TAXONOMY),
        click.option(
            "--rollup-right",
            default=0.9,
            show_default=True,
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            help=_RIGHT,
        ),
        click.option("--rollup-exit", is_flag=True, help=_EXIT),
    )

    def add(command: Command) -> Command:
        for one in reversed(options):
            command = one(command)
        return command

    return add


def read_place(context: click.Context, parameter: click.Parameter, text: str | None) -> Place | str | None:
    """Degrees as a place, other text as the name of a region."""
    from edge_sdk.model.priors import read_place as read

    try:
        return None if text is None else read(text)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


@dataclass(slots=True)
class Tables:
    """What the options give, and what is found with it.

    Attributes:
        bundle: with the tables that are given, in memory alone until `write`.
        place: where the pictures were taken.
        taken: CSV of when and where.
        right: promised share of right answers.
        exits: whether a sure group exits.
        asks_priors: whether priors count.
        asks_rollup: whether answers may be groups.
    """

    bundle: Bundle
    place: Place | str | None
    taken: Path | None
    right: float
    exits: bool
    asks_priors: bool
    asks_rollup: bool

    @property
    def asked(self) -> bool:
        """Whether any table counts."""
        return self.asks_priors or self.asks_rollup

    def placed(
        self, console: Console, little: Records, big: Records, rows: NDArray[np.bool_] | None = None
    ) -> Placed | None:
        """Both models' records under the priors, whose strength is chosen on `rows` (None: all); None: without them."""
        if not self.asks_priors or self.bundle.priors is None:
            return None
        from edge_sdk.terminal.text import say
        from edge_sdk.workbench.calibrate_priors import with_priors
        from edge_sdk.workbench.taken import taken_of

        table = self.bundle.priors
        found = with_priors(little, big, table, taken_of(little, table, place=self.place, path=self.taken), rows=rows)
        say(console, found.sentence())
        return found

    def in_policy(
        self, console: Console, policy: Policy, little: Records, big: Records, placed: Placed | None, delta: float
    ) -> Policy:
        """The policy with the rules of the tables, found on the records that it was calibrated on."""
        from edge_sdk.terminal.text import say
        from edge_sdk.workbench import calibrate_priors, calibrate_rollup

        policy = calibrate_priors.in_policy(policy, placed)
        taxonomy = self.bundle.taxonomy
        if not self.asks_rollup or taxonomy is None:
            return policy
        rollup = calibrate_rollup.calibrate_rollup(
            little, big, taxonomy, policy, right=self.right, delta=delta, exits=self.exits
        )
        for sentence in rollup.sentences():
            say(console, sentence)
        return calibrate_rollup.in_policy(policy, rollup, little, taxonomy)

    def write(self, console: Console) -> None:
        """Write the tables that are used into the bundle, before the policy that uses them."""
        from edge_sdk.model.bundle import write_priors, write_taxonomy
        from edge_sdk.terminal.text import say

        for asks, used, options in (
            (self.asks_priors, self.bundle.policy.priors, "--priors or --place"),
            (self.asks_rollup, self.bundle.policy.rollup, "--taxonomy or --rollup-right"),
        ):
            if used is not None and not asks:
                say(console, f"a table that counted in this bundle does so no more, without {options}")
        if self.asks_priors and self.bundle.priors is not None:
            write_priors(self.bundle.path, self.bundle.priors)
        if self.asks_rollup and self.bundle.taxonomy is not None:
            write_taxonomy(self.bundle.path, self.bundle.taxonomy)


def read_tables(
    path: Path,
    *,
    priors: Path | None,
    place: Place | str | None,
    taken: Path | None,
    taxonomy: Path | None,
    rollup_right: float,
    rollup_exit: bool,
) -> Tables:
    """The tables that are given, or that the bundle has where a place, --taken or --rollup-right asks for them.

    Raises:
        BundleError: a table cannot be read, or is of other labels.
        ConfigError: neither the options nor the bundle have the table that is asked for.
    """
    from edge_sdk.model.bundle import check_tables, open_bundle, read_priors, read_taxonomy

    opened = open_bundle(path)
    asks_priors = priors is not None or place is not None or taken is not None
    asks_rollup = taxonomy is not None or "--rollup-right" in given() or rollup_exit
    opened = replace(
        opened,
        priors=opened.priors if priors is None else read_priors(priors),
        taxonomy=opened.taxonomy if taxonomy is None else read_taxonomy(taxonomy),
    )
    check_tables(opened)
    if asks_priors and opened.priors is None:
        raise ConfigError(f"expected --priors, since {path} has no priors.json")
    if asks_rollup and opened.taxonomy is None:
        raise ConfigError(f"expected --taxonomy, since {path} has no taxonomy.json")
    return Tables(opened, place, taken, rollup_right, rollup_exit, asks_priors, asks_rollup)
