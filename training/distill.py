"""Distil a transmitter and a receiver from a teacher: `python -m training.distill`; without arguments, the digits pair.

Knows nothing about sockets. Makes what is missing (teacher, knowledge store) and re-uses what is there.
"""

from contextlib import suppress
from typing import Any

import click
from rich.console import Console

from common.cli import begin, invoke, shared_options
from common.console import tell
from common.errors import DataError, SemlinkError
from common.files import OutFolder, UserPath, writable
from common.images.datasets import load_for
from common.pair.manifest import Manifest
from common.pair.origin import remember
from training.data.images import skip_bad_option
from training.distillation.request import BUILD, Request


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", help="Name in training/configs or TOML file. [default: digits; else one that fits the data]")
@click.option("--teacher", help="Folder or Hub id; several with commas. [default: made of these images if missing]")
@click.option("--by-position", is_flag=True, help="Take the teacher's classes in their order, whatever their names.")
@click.option("--store", type=UserPath(), help="Knowledge store. [default: build/stores/NAME-ID]")
@click.option("--views", type=int, help="Stored views per image; each epoch uses the next. [default: the recipe's]")
@click.option(
    "--epochs",
    type=int,
    help="The student's passes over the training images; the teacher takes as many more or fewer in proportion. "
    "[default: the recipe's]",
)
@click.option("--encoding", help="int8 or topK, such as top10. [default: the recipe's]")
@click.option("--encoder", help="Transmitter as WIDTH,BLOCKS,STRIDE of its stem. [default: the recipe's]")
@click.option("--fraction", type=float, help="Share of the training images to use, 0 to 1. [default: the recipe's]")
@click.option("--out", type=OutFolder(), help="Folder of the pair. [default: build/pairs/NAME]")
@click.option("--run", type=OutFolder(), help="Checkpoint and metrics. [default: build/runs/NAME]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 ...")
@click.option("--seed", default=0, show_default=True, help="Seed of weights, batches and channels.")
@click.option("--force", is_flag=True, help="Exit with 0 even if the pair is not seen to have learnt anything.")
@click.option("--no-kd", is_flag=True, help="Ablation: true labels only, no teacher.")
@click.option("--online-teacher", is_flag=True, help="Ablation: run the teacher in every step, no store.")
@skip_bad_option
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    """NAME is the recipe's, or the data set's where the recipe fits itself; what would not fit there is NAME-ID."""
    begin(context, log_level)
    from training.distillation.stages import distill
    from training.recipes.fitted import recipe_for, stages
    from training.recipes.recipe import adjusted

    request = Request(
        dataset=options["dataset"],
        teacher=options["teacher"],
        store=options["store"],
        out=options["out"],
        run=options["run"],
        device=options["device"],
        seed=options["seed"],
        online=options["online_teacher"],
        by_position=options["by_position"],
        skip_bad=options["skip_bad"],
        encoding=options["encoding"],
        keep=True,
    )
    for place in (BUILD, *([request.store] if request.store and not request.store.is_dir() else [])):
        writable(place, folder=True)
    recipe, told = recipe_for(options["dataset"], options["recipe"])
    recipe = adjusted(
        recipe,
        epochs=options["epochs"],
        views=options["views"],
        encoding=options["encoding"],
        hard=1.0 if options["no_kd"] else None,
        encoder=options["encoder"],
        fraction=options["fraction"],
    )
    for line in (*told, *([stages(recipe)] if told or options["epochs"] else [])):
        tell(line)
    manifest = distill(recipe, request, Console(stderr=True))
    if manifest is not None:
        conclude(manifest, request, options["force"])


def conclude(manifest: Manifest, request: Request, force: bool) -> None:
    """Note where its pictures lie, and tell whether it has learnt anything; SemlinkError if not, unless `force`."""
    from training.distillation.judge import judge

    remember(manifest.id, request.dataset)
    parts = [load_for(manifest, request.dataset, "validation", skip_bad=request.skip_bad)]
    with suppress(DataError):  # there may be no test split
        parts.append(load_for(manifest, request.dataset, "test", skip_bad=request.skip_bad))
    verdict = judge(manifest, parts)
    tell(f"held out: {verdict}")
    if not verdict.learnt:
        what = f"pair {manifest.path} is not seen to do better than that: more pictures or more --epochs may help"
        if not force:
            raise SemlinkError(f"{what}. It is written; --force takes it as it is")
        tell(f"warning: {what}", "warning")


if __name__ == "__main__":
    invoke(main, "TRAINING_DISTILL")
