"""`python -m tests.bench.compare OLD NEW`: ratio and overlap of the intervals, for each figure that both measured.

Knows nothing about what the figures mean. Two runs of one machine tell of the code; of two machines, of the machines.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from common.cli import invoke
from common.console import say, tell
from common.errors import ConfigError
from tests.bench.results import BUILD, HISTORY, Figure, Run, read, shown

_HELP = """\b
OLD and NEW are files, or commits (the first four digits are enough), of which the newest run is looked for in
tests/bench/history and build/bench. "apart" means that the 95 % intervals do not overlap, "overlap" that they do,
"-" that one has none.
"""


@click.command(epilog=_HELP, context_settings={"max_content_width": 110})
@click.argument("old")
@click.argument("new")
def command(old: str, new: str) -> None:
    """Compare two runs of `make bench`."""
    before, after = (find(word, (HISTORY, BUILD)) for word in (old, new))
    for line in compared(before, after):
        say(line)
    for line in remarks(before, after):
        tell(line)


def find(word: str, places: tuple[Path, ...]) -> Run:
    """The run that a file or a commit means. Raises ConfigError, DataError."""
    if Path(word).is_file():
        return read(Path(word))
    files = [path for place in places for path in place.glob("*.json")] if len(word) >= 4 else []
    runs = [run for run in map(read, files) if run.commit.startswith(word)]
    if not runs:
        raise ConfigError(f"{word} is no file, and no run of such a commit lies in {' or '.join(map(str, places))}")
    return max(runs, key=lambda run: run.date)


def compared(old: Run, new: Run) -> Iterator[str]:
    """A table of the figures that both have, by name."""
    before = {figure.name: figure for figure in old.figures}
    both = [(before[figure.name], figure) for figure in new.figures if figure.name in before]
    yield f"{'figure':<52}{'unit':<10}{old.commit[:12]:>26}{new.commit[:12]:>26}{'new / old':>11}  intervals"
    for was, now in both:
        ratio = f"{now.value / was.value:.2f}" if was.value else "-"
        yield f"{now.name:<52}{now.unit:<10}{shown(was):>26}{shown(now):>26}{ratio:>11}  {verdict(was, now)}"


def verdict(was: Figure, now: Figure) -> str:
    """Whether the intervals overlap, and if not, whether it became better or worse."""
    if was.low is None or was.high is None or now.low is None or now.high is None:
        return "-"
    if now.low <= was.high and was.low <= now.high:
        return "overlap"
    return "apart: better" if (now.value < was.value) == (now.better == "less") else "apart: worse"


def remarks(old: Run, new: Run) -> Iterator[str]:
    """What the table does not show, and what speaks against comparing."""
    if old.machine != new.machine:
        yield f"note: two machines, {_about(old)} and {_about(new)}: ratios tell of them as well as of the code"
    for which, run in (("old", old), ("new", new)):
        if run.changed:
            yield f"note: the {which} run was of files that differ from its commit"
        if run.load > run.machine.cores / 2:
            yield f"note: the {which} run began at a load of {run.load:g} on {run.machine.cores} cores"
    for which, run, other in (("old", old, new), ("new", new, old)):
        names = {figure.name for figure in other.figures}
        if only := [figure.name for figure in run.figures if figure.name not in names]:
            yield f"only in the {which} run: {', '.join(only)}"


def _about(run: Run) -> str:
    machine = run.machine
    return f"{machine.cpu} ({machine.cores} cores, {' '.join(machine.flags)}; {', '.join(machine.versions)})"


if __name__ == "__main__":
    invoke(command, "COMPARE", name="python -m tests.bench.compare")
