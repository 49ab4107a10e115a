"""Tables that fit a terminal of any width: text wraps, and nothing is cut short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

from edge_sdk.terminal.text import literal

_FRAME = 3  # cells that the frame and the padding of one column take


def _cell(text: object) -> Text:
    return Text(literal(text), overflow="fold")


@dataclass(slots=True)
class Facts:
    """Names and values in two columns.

    Attributes:
        title: the table's head.
        rows: name and value, in order.
    """

    title: str
    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, value: object) -> None:
        """Add a row."""
        self.rows.append((name, str(value)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(title=_cell(self.title), title_justify="left", show_header=False)
        table.add_column(style="bold", overflow="fold", max_width=max(8, options.max_width // 3))
        table.add_column(overflow="fold")
        for name, value in self.rows:
            table.add_row(_cell(name), _cell(value))
        yield table


@dataclass(slots=True)
class Rows:
    """A table with a head. Where its words do not fit side by side, each row becomes a block of names and values.

    Attributes:
        title: the table's head.
        columns: their names; the first is aligned left, the others right.
        rows: one text for each column.
        left: names of further columns that are aligned left.
        caption: a line below.
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    left: Iterable[str] = ()
    caption: str = ""

    def add(self, *row: object) -> None:
        """Add a row."""
        self.rows.append([str(one) for one in row])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._narrowest() <= options.max_width:
            yield self._table(options.max_width)
        else:
            yield from self._blocks()

    def _narrowest(self) -> int:
        """Width at which no word is broken, in cells."""
        texts = zip(self.columns, *self.rows, strict=True)
        return 1 + sum(_FRAME + max(_longest_word(one) for one in column) for column in texts)

    def _widths(self, most: int) -> list[int]:
        """Width of each column, in cells: its longest text's, or less where the table would be wider than `most`."""
        columns = [*zip(self.columns, *self.rows, strict=True)]
        least = [max(map(_longest_word, column)) for column in columns]
        widths = [max(cell_len(literal(text)) for text in column) for column in columns]
        for _ in range(1 + sum(_FRAME + width for width in widths) - most):
            slack = [width - word for width, word in zip(widths, least, strict=True)]
            widths[slack.index(max(slack))] -= 1
        return widths

    def _table(self, most: int) -> Table:
        left = {self.columns[0], *self.left}
        columns = [
            Column(_cell(name), justify="left" if name in left else "right", overflow="fold", width=width)
            for name, width in zip(self.columns, self._widths(most), strict=True)
        ]
        title = _cell(self.title) if self.title else None
        table = Table(*columns, title=title, title_justify="left", caption_justify="left")
        table.caption = _cell(self.caption) if self.caption else None
        for row in self.rows:
            table.add_row(*map(_cell, row))
        return table

    def _blocks(self) -> Iterable[Text]:
        if self.title:
            yield Text(literal(self.title), style="italic", overflow="fold")
        for row in self.rows:
            for place, (name, value) in enumerate(zip(self.columns, row, strict=True)):
                if value:
                    yield _cell(f"{'  ' if place else '- '}{f'{name}: ' if name else ''}{value}")
        if self.caption:
            yield _cell(self.caption)


def _longest_word(text: str) -> int:
    return max(map(cell_len, literal(text).split()), default=0)
