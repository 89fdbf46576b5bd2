"""What storing the teacher's answers saves: `python -m training.savings`, in seconds and bytes, measured in one run.

Knows nothing about accuracy; `training.ablate` compares that.

With Tt seconds of teacher and Ts of student per image and view, V stored views, E epochs and R runs that share a store:

    online  R E (Tt + Ts)        stored  V Tt + R E Ts        so nothing is saved when V = E and R = 1
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from common.cli import begin, invoke, shared_options
from common.files import OutFile, write_json
from training.report.tabular import print_table

if TYPE_CHECKING:
    from training.experiments.costs import Savings
    from training.recipes.recipe import Recipe


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", default="digits", show_default=True, help="digits, a folder or a Hub id.")
@click.option("--recipe", default="digits", show_default=True, help="Name in training/configs or TOML file.")
@click.option("--teacher", help="Folder or Hub id. [default: build/teachers/RECIPE]")
@click.option("--untrained-vit", is_flag=True, help="Time a ViT-B/16 at 224 pixels with random weights instead.")
@click.option("--images", default=2048, show_default=True, help="Images of an epoch with the store.")
@click.option("--online-images", default=256, show_default=True, help="Images that the teacher is run on.")
@click.option("--dtype", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True, help="Of the teacher.")
@click.option("--device", default="auto", show_default=True)
@click.option("--json", "json_file", type=OutFile(), help="Write the numbers here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from common.pair.device import pick_device
    from training.data.images import load_data
    from training.distillation.request import BUILD
    from training.experiments.costs import encodings, measure, untrained_vit
    from training.recipes.recipe import load_recipe
    from training.teachers.find import load_oracle

    recipe = load_recipe(options["recipe"])
    device = pick_device(options["device"], recipe.threads)
    train, _, preprocess = load_data(recipe, options["dataset"])
    if options["untrained_vit"]:
        oracle = untrained_vit(train.classes, options["dtype"], device)
    else:
        place = options["teacher"] or str(BUILD / "teachers" / recipe.name)
        oracle = load_oracle(place, train.asked, device, options["dtype"])
    part = train.take(np.arange(min(options["images"], len(train))))
    found = measure(recipe, part, preprocess, oracle, options["online_images"], device)
    codes = [] if options["untrained_vit"] else encodings(recipe, part, oracle)
    _show(found, codes, recipe)
    if options["json_file"]:
        write_json(options["json_file"], {"savings": asdict(found), "encodings": codes})


def _show(found: "Savings", codes: list[dict[str, Any]], recipe: "Recipe") -> None:
    names = ("teacher_s", "generate_s", "read_s", "stored_epoch_s", "online_epoch_s")
    rows = [(name.removesuffix("_s").replace("_", " "), f"{1000 * getattr(found, name):.4f}") for name in names]
    rows.append(("online / stored epoch", f"{found.online_epoch_s / found.stored_epoch_s:.1f}"))
    rows.append(("reading, share of a stored epoch", f"{100 * found.read_s / found.stored_epoch_s:.2f} %"))
    views, epochs = recipe.views, recipe.schedule.epochs
    for runs, e in ((1, epochs), (1, 100), (10, epochs)):
        rows.append((f"gain, V = {views}, E = {e}, R = {runs}", f"{found.gain(views, e, runs):.1f}"))
    print_table(f"teacher {found.teacher}; milliseconds per image and view", ("what", ""), rows, left=("what",))
    if codes:
        cells = [(r["encoding"], f"{r['bytes']:g}", f"{r['kl_mean']:.1e}", f"{r['kl_p99']:.1e}") for r in codes]
        headings = ("encoding", "bytes", "mean KL", "99th percentile")
        print_table(f"KL in nats at tau {recipe.loss.tau:g}", headings, cells, left=("encoding",))


if __name__ == "__main__":
    invoke(main, "TRAINING_SAVINGS")
