"""`python -m tests.bench.keep [FILE]`: puts a run of `make bench` into the history, one file per commit and machine.

Knows nothing about what was measured. The files are committed by whoever chose to keep them.
"""

from dataclasses import replace
from pathlib import Path

import click

from common.cli import invoke
from common.console import say
from common.errors import ConfigError
from tests.bench.results import BUILD, HISTORY, read


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def command(file: Path | None) -> None:
    """Keep FILE, or the newest run in build/bench. Figures that an earlier run of it measured alone stay."""
    say(f"kept in {keep(file or newest(BUILD), HISTORY)}")


def newest(place: Path) -> Path:
    """The run that was written last. Raises ConfigError."""
    files = sorted(place.glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise ConfigError(f"no run lies in {place}: measure one with `make bench`")
    return files[-1]


def keep(file: Path, history: Path) -> Path:
    """Put a run into `history`; returns its place there. Raises ConfigError where nobody could measure it again."""
    run = read(file)
    if run.changed:
        raise ConfigError(f"{file} was measured on files that differ from commit {run.commit[:12]}: commit them first")
    place = history / run.name
    earlier = read(place).figures if place.exists() else ()
    names = {figure.name for figure in run.figures}
    replace(run, figures=(*(one for one in earlier if one.name not in names), *run.figures)).write(place)
    return place


if __name__ == "__main__":
    invoke(command, "KEEP", name="python -m tests.bench.keep")
