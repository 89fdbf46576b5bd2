"""Tables for people, which are never cut. Knows nothing about what they hold, but that names may come from outside."""

from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from common.text import safe_markup

WIDEST = 10_000
"""Columns that a table may take where there is no terminal."""


def print_table(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[object]], *, left: Collection[str] = (),
    console: Console | None = None,
) -> None:  # fmt: skip
    """A table on standard output, or on `console`. left: headings of columns that are text; numbers stand to the right.

    On a terminal it is made to fit; anywhere else it takes the width that it needs.
    """
    table = Table(title=safe_markup(title, None), show_header=any(one.strip() for one in headings))
    for heading in headings:
        table.add_column(safe_markup(heading, None), justify="left" if heading in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(safe_markup(cell, None) for cell in row))
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDEST, quiet=console.quiet)
        console.width = max(Measurement.get(console, console.options, table).maximum, len(title))
    console.print(table)
