"""Look after a knowledge store: `python -m training.store build | info | card | verify | merge`.

Knows nothing about students. `training.distill` builds a store by itself; `build` makes one on another machine, or
on several processes with `torchrun -m training.store build ...`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from common.cli import invoke
from common.console import say, tell
from common.errors import ConfigError, StoreError
from common.files import OutFolder, UserPath, write_atomic
from common.text import safe
from training.report.tabular import print_table

if TYPE_CHECKING:
    from training.knowledge.shards import Store

FOLDER = UserPath()


@click.group(help=__doc__.splitlines()[0])
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    pass


@main.command(help="Run a teacher over the views of a training split; goes on where it was stopped.")
@click.argument("store", type=OutFolder())
@click.option("--dataset", required=True, help="digits, a folder or a Hub id.")
@click.option("--teacher", required=True, help="Folder or Hub id; several with commas.")
@click.option("--recipe", help="Whose views and image size. [default: digits; else the one that fits the data]")
@click.option("--views", type=int, help="Views per image. [default: the recipe's]")
@click.option("--first", default=0, help="Begin with this view: a part that another machine's part is merged with.")
@click.option("--encoding", help="int8 or topK, such as top10. [default: the recipe's]")
@click.option("--embedding", type=int, help="Bytes of its embedding to keep as well; 0: none. [default: the recipe's]")
@click.option("--dtype", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", help="auto: bf16 on a GPU.")
@click.option("--device", default="auto", show_default=True)
@click.option("--by-position", is_flag=True, help="Take the teacher's classes in their order, whatever their names.")
def build(store: Path, dataset: str, teacher: str, first: int, dtype: str, device: str, **options: Any) -> None:
    from common.pair.device import pick_device
    from training.data.images import load_data
    from training.knowledge.generate import generate, plan_for, projected
    from training.recipes.fitted import recipe_for
    from training.recipes.recipe import adjusted
    from training.teachers.find import find_teacher

    recipe = adjusted(recipe_for(dataset, options["recipe"])[0], views=options["views"], encoding=options["encoding"],
                      embedding=options["embedding"])  # fmt: skip
    if not 0 <= first < recipe.views:
        raise ConfigError(f"--first must be one of the views 0 to {recipe.views - 1}, not {first}")
    where = pick_device(device)
    train, _, _ = load_data(recipe, dataset)
    precision = dtype if dtype != "auto" else "bf16" if where.type == "cuda" else "fp32"
    found = find_teacher(teacher, train.asked, precision, options["by_position"])
    for line in found.told:
        tell(line)
    oracle = found.load(where)
    kept = projected(store, train, oracle, recipe.embedding) if recipe.embedding else None
    plan = plan_for(train, "train", found.id, recipe.view, recipe.encoding, embedding=kept)
    made = generate(store, plan, range(first, recipe.views), train, oracle, Console(stderr=True))
    if made is not None:
        _show(made)


@main.command(help="What a store holds.")
@click.argument("store", type=FOLDER)
def info(store: Path) -> None:
    _show(_opened(store))


@main.command(help="Write STORE/README.md: what it holds, what it loses, how to check it and to train from it.")
@click.argument("store", type=FOLDER)
def card(store: Path) -> None:
    from training.knowledge.describe import written

    path = store / "README.md"
    write_atomic(path, written(_opened(store)).encode())
    say(f"{path}")


@main.command(help="Check every shard's SHA-256; with --dataset its pixels, with --teacher a sample of its answers.")
@click.argument("store", type=FOLDER)
@click.option("--dataset", help="digits, a folder or a Hub id: also check that its pixels are the teacher's.")
@click.option("--recipe", help="Whose image size. [default: digits; else the one that fits the data]")
@click.option("--teacher", help="Run this teacher again on a sample.")
@click.option("--rows", default=64, show_default=True, help="Size of the sample.")
@click.option("--device", default="auto", show_default=True)
@click.option("--by-position", is_flag=True, help="Take the teacher's classes in their order, whatever their names.")
def verify(
    store: Path, dataset: str | None, recipe: str | None, teacher: str | None, rows: int, device: str, by_position: bool
) -> None:
    from common.pair.device import pick_device
    from training.data.images import load_data
    from training.knowledge.generate import agreement
    from training.knowledge.shards import open_store
    from training.recipes.fitted import recipe_for
    from training.report.progress import bar
    from training.teachers.find import load_oracle

    opened = open_store(store)
    images = None if dataset is None else load_data(recipe_for(dataset, recipe)[0], dataset)[0]
    if images is not None:
        opened.check_data(images, opened.plan.view, by_position=True)
    with bar(Console(stderr=True), "verify", len(opened.shards)) as advance:
        for _ in opened.verify(images):
            advance()
    say(f"{len(opened.shards)} shards are whole" + ("" if images is None else ", and the pixels are the teacher's"))
    if teacher is None:
        return
    if images is None:
        raise ConfigError("--teacher needs --dataset: the teacher is run again on its images")
    oracle = load_oracle(teacher, images.asked, pick_device(device), opened.plan.teacher.dtype, by_position)
    if oracle.id.sha256 != opened.plan.teacher.sha256:
        raise StoreError(f"{store} was made by {opened.plan.teacher.name}, whose weights are not those of {teacher}")
    loss, same = agreement(opened, images, oracle, min(rows, len(images)))
    say(f"{rows} rows again: mean KL {loss:.2e} nats, same top class {100 * same:.1f} %")
    if same < 0.99:
        raise StoreError(f"{teacher} gives other answers than {store} holds; make the store again")


@main.command(help="Put the shards of stores of one plan together into STORE.")
@click.argument("store", type=OutFolder())
@click.argument("parts", type=FOLDER, nargs=-1, required=True)
def merge(store: Path, parts: tuple[Path, ...]) -> None:
    from training.knowledge import shards as knowledge

    opened = [knowledge.open_store(part) for part in parts]
    if (store / knowledge.MANIFEST).is_file():
        opened.append(knowledge.open_store(store))
    _show(knowledge.merge(store, opened))


def _opened(folder: Path) -> "Store":
    """A store whose shards are there and as long as they should be, with a word of what was not looked at."""
    from training.knowledge.shards import open_store

    store = open_store(folder)
    store.refuse_cut()
    tell(f"sizes are right, contents were not read: python -m training.store verify {safe(folder, 300)}")
    return store


def _show(store: "Store") -> None:
    from training.knowledge.describe import rows

    print_table("", ("", " "), [(name, safe(value, 400)) for name, value in rows(store).items()], left=("", " "))


if __name__ == "__main__":
    invoke(main, "TRAINING_STORE")
