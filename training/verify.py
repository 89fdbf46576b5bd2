"""Result cards, computed again: `python -m training.verify CARD...` says whether a number is what its card says.

Knows nothing about how a card is made (`training.evaluate --suite NAME --cards DIR`).

    identical          every decision is the same
    k of N differ      at most 0.1 %: another processor adds up in another order
    differs            it is not what the card says: exit code 1
    altered            a number or a decision of the card was changed: what is told, exit code 1
    retrain            sound; its weights do not ship: the command and the hours that make them are told. With --retrain
                       DIR it is run, and the accuracies of both are compared: they agree, or differ
    missing            nothing can be said, for pair, weights or images are not here: exit code 2
"""

from collections import Counter
from dataclasses import asdict
from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.console import say, tell
from common.errors import ConfigError
from common.files import OutFile, OutFolder, UserPath, write_atomic, write_json


@click.command(help=__doc__.splitlines()[0])
@click.argument("cards", nargs=-1, type=UserPath())
@click.option("--pair", help="Folder of the cards' pair, where it does not ship.")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option(
    "--retrain", type=OutFolder(), metavar="DIR", help="Train weights that do not ship again, into this folder."
)
@click.option("--table", is_flag=True, help="Write the table of all cards that ship, and verify nothing.")
@click.option("--json", "json_file", type=OutFile(), help="Write the verdicts here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.cards.overview import OVERVIEW, overview, shipped

    paths = options["cards"] or shipped()
    if options["table"]:
        if options["cards"]:
            raise ConfigError("--table is of the cards that ship, and takes no others")
        write_atomic(OVERVIEW, overview(paths).encode())
        say(f"written: {OVERVIEW}")
        return
    from common.pair.device import limit_threads
    from training.cards.replaying import Verifier

    limit_threads(1)  # as the suites do
    verifier, found = Verifier(options["pair"], options["dataset"], options["retrain"]), []
    for path in paths:
        found.append(verifier.verify(path))
        (say if found[-1].exit_code == 0 else tell)(f"{path}: {found[-1].says}")
    if len(found) > 1:
        counts = Counter(one.verdict for one in found)
        say(f"{len(found)} cards: {', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}")
    if options["json_file"]:
        write_json(options["json_file"], {"cards": [asdict(one) for one in found]})
    codes = {one.exit_code for one in found}
    context.exit(1 if 1 in codes else max(codes, default=0))


if __name__ == "__main__":
    invoke(main, "TRAINING_VERIFY")
