"""A pair of before words and features, made one that has them: `python -m training.convert --pair OLD --dataset DATA`.

Knows nothing about how it is done (`earlier.py`). Minutes, not hours: nothing is trained but a linear layer.
"""

from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.console import say
from common.files import OutFolder, UserPath
from training.data.images import skip_bad_option


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", required=True, type=UserPath(), help="Folder of the old pair.")
@click.option("--dataset", required=True, help="What it was trained on: digits, a folder or a Hub id.")
@click.option("--out", required=True, type=OutFolder(), help="Folder of the new pair.")
@skip_bad_option
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.convert.earlier import convert
    from training.export.tracing import finish

    manifest = convert(options["pair"], options["dataset"], options["out"], options["skip_bad"])
    finish(manifest)
    say(f"pair: {manifest.path}, id {manifest.id[:16]}; {100 * manifest.accuracy.clean:.1f} % of the validation images")


if __name__ == "__main__":
    invoke(main, "TRAINING_CONVERT", name="python -m training.convert")
