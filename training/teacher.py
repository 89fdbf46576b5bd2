"""Make a teacher, by training or with ImageNet weights: `python -m training.teacher`; a `save_pretrained` folder.

Knows nothing about students or stores.
"""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from common.cli import begin, invoke, shared_options
from common.console import say, tell
from common.errors import ConfigError
from common.files import OutFolder, writable
from common.text import safe
from training.data.images import skip_bad_option


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", help="Name in training/configs or TOML file. [default: digits; else one that fits the data]")
@click.option("--epochs", type=int, help="Passes over the training images. [default: the recipe's]")
@click.option("--fraction", type=float, help="Share of the training images to use, 0 to 1. [default: the recipe's]")
@click.option("--out", type=OutFolder(), help="Folder to save to. [default: build/teachers/NAME]")
@click.option("--pretrained", help="Train nothing: take efficientnet-lite0 or -lite2 with ImageNet weights.")
@click.option("--size", type=int, help="--pretrained: side in pixels of what it sees. [default: its own, 224 or 256]")
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

    if options["size"] is not None and not options["pretrained"]:
        raise ConfigError("--size goes with --pretrained; the input of a teacher that is trained is in its recipe")
    if options["pretrained"]:
        given = [name for name in ("recipe", "epochs", "fraction") if options[name] is not None]
        given += ["seed"] if options["seed"] else []
        if given:
            raise ConfigError(f"--{given[0]} is for training a teacher, and --pretrained trains none")
        say(f"teacher: {pretrained(options['pretrained'], options['size'], options['out'])}")
        return
    writable(BUILD, folder=True)
    recipe, told = recipe_for(options["dataset"], options["recipe"])
    for line in told:
        tell(line)
    recipe = adjusted_teacher(recipe, options["epochs"], options["fraction"])
    device = pick_device(options["device"], recipe.threads)
    train, validation, _ = load_data(recipe, options["dataset"], options["skip_bad"])
    tell(f"teacher: {recipe.teacher.schedule.epochs} passes over {len(train)} images")
    out = own_teacher(recipe, train, options["seed"], device, Console(stderr=True),
                      out=options["out"], this_seed=True)  # fmt: skip
    if process()[0] == 0:
        say(f"teacher: {out}, validation accuracy {100 * accuracy(str(out), validation, device):.2f} %")


def pretrained(name: str, size: int | None, out: Path | None) -> Path:
    """The folder of a teacher that a package carries. ConfigError for a name that is not known."""
    from training.distillation.request import BUILD
    from training.teachers.efficientnet_lite import LITES, write_lite

    if name not in LITES:
        known = ", ".join(LITES)
        raise ConfigError(f"--pretrained '{safe(name, 60)}' is not one of {known}; a folder or a Hub id is a --teacher")
    folder = out or BUILD / "teachers" / (name if size is None else f"{name}-{size}")
    write_lite(name, folder, size)
    return folder


if __name__ == "__main__":
    invoke(main, "TRAINING_TEACHER")
