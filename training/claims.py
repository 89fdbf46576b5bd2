"""The four claims, won or lost, drawn again from the results that are kept: `python -m training.claims`.

Writes training/REPORT.md and its figures. Knows nothing about how anything is measured: a result is measured again by
the command that it names (--measure), a result card by `training.verify`, a suite by `training.evaluate --suite`.
"""

from pathlib import Path
from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.console import say
from common.errors import ConfigError
from common.files import UserPath


@click.command(help=__doc__.splitlines()[0])
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where the page is not what its files say.")
@click.option("--measure", metavar="NAME", help="Run a result's command again, and keep what it finds.")
@click.option("--taken", type=UserPath(), help="With --measure: what a run before has written.")
@click.option("--seed", type=int, help="With --measure: other channels; keep nothing, tell what differs.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    if options["measure"]:
        context.exit(_measure(options["measure"], options["taken"], options["seed"]))
    for name in ("taken", "seed"):
        if options[name] is not None:
            raise ConfigError(f"--{name} goes with --measure")
    from training.findings.chapters.document import stale, write
    from training.findings.sources import Sources

    sources = Sources.read()
    if options["check"]:
        found = stale(sources)
        for name in found:
            say(f"training/{name} is not what the results say: python -m training.claims writes it")
        context.exit(1 if found else 0)
    for path in write(sources):
        say(f"written: {path}")


def _measure(name: str, path: Path | None, seed: int | None) -> int:
    """Measure a result and keep it, or with another seed compare it with what is kept; the exit code."""
    from training.findings.headline import compared
    from training.findings.orders import measured, order, taken
    from training.findings.result import read, write
    from training.findings.sources import RESULTS, TRAINING

    kept = TRAINING / RESULTS
    if seed is None:
        say(f"written: {write(taken(name, path) if path else measured(name), kept)}")
        say("python -m training.claims draws the page again")
        return 0
    if path or order(name).seed is None:
        raise ConfigError("--seed is of commands that draw a channel, and of a run of now")
    before, now = read(kept / f"{name}.json"), measured(name, [str(order(name).seed), str(seed)])
    differ, count = compared(now.found, before.found)
    for one in differ:
        say(one)
    say(f"{len(differ)} of {count} numbers differ by more than both intervals allow (Holm, 5 %)")
    return 1 if differ else 0


if __name__ == "__main__":
    invoke(main, "TRAINING_CLAIMS")
