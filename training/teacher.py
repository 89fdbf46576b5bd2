"""Train a teacher on a data set: `python -m training.teacher`; what it writes is an ordinary `save_pretrained` folder.

Knows nothing about students or stores.
"""

from typing import Any

import click
from rich.console import Console

from common.cli import begin, invoke, shared_options
from common.console import say, tell
from common.files import OutFolder, writable
from training.data.images import skip_bad_option


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", help="Name in training/configs or TOML file. [default: digits; else one that fits the data]")
@click.option("--epochs", type=int, help="Passes over the training images. [default: the recipe's]")
@click.option("--fraction", type=float, help="Share of the training images to use, 0 to 1. [default: the recipe's]")
@click.option("--out", type=OutFolder(), help="Folder to save to. [default: build/teachers/NAME]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option("--seed", default=0, show_default=True, help="Seed of weights and batches.")
@skip_bad_option
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from common.pair.device import pick_device
    from training.data.images import load_data
    from training.distillation.request import BUILD
    from training.distillation.reuse import own_teacher
    from training.loop.machine import process
    from training.recipes.fitted import recipe_for
    from training.recipes.recipe import adjusted_teacher
    from training.teachers.pretrain import accuracy

    writable(BUILD, folder=True)
    recipe, told = recipe_for(options["dataset"], options["recipe"])
    for line in told:
        tell(line)
    recipe = adjusted_teacher(recipe, options["epochs"], options["fraction"])
    device = pick_device(options["device"], recipe.threads)
    train, validation, _ = load_data(recipe, options["dataset"], options["skip_bad"])
    out = own_teacher(recipe, train, options["seed"], device, Console(stderr=True),
                      out=options["out"], this_seed=True)  # fmt: skip
    if process()[0] == 0:
        say(f"teacher: {out}, validation accuracy {100 * accuracy(str(out), validation, device):.2f} %")


if __name__ == "__main__":
    invoke(main, "TRAINING_TEACHER")
