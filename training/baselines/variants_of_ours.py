"""What is made as a pair was and compared with it: its recipe with one thing changed, its teacher.

Knows nothing about how a pair is distilled. What is made lies where `Bench` looks for it, in half precision, and beside
it a file that says what it took. A run that was killed goes on where it was.
"""

import time
from pathlib import Path

from rich.console import Console

from common.files import write_json
from common.pair.device import pick_device
from training.distillation.pairs import write_halved
from training.distillation.reuse import own_teacher
from training.experiments.trials import trained
from training.experiments.variants import variant
from training.recipes.of_pair import recipe_of, require_teacher
from training.recipes.recipe import Recipe, adjusted
from training.systems.bench import Bench
from training.systems.teacher_alone import TeacherAlone, keep
from training.teachers.find import load_oracle, weights_sha256
from training.teachers.oracles import ask
from training.teachers.pretrain import accuracy

UNTAUGHT = "no-distillation"
CHANGED = {
    UNTAUGHT: "without distillation",
    "online-distillation": "online teacher",
}
"""Systems, and what `training.ablate` calls what is changed."""
NAMES = (*CHANGED, TeacherAlone.name)


def make(
    bench: Bench, name: str, seed: int = 0, epochs: int | None = None, console: Console | None = None,
    teacher: str | None = None, command: str = "",
) -> Path:  # fmt: skip
    """Make one of NAMES for a bench, as its suite's pair was made; returns where it lies.

    epochs: of the student; None: the pair's own. teacher: folder or Hub id of one in place of the recipe's own, and the
    command that says so. ConfigError where the pair does not say which recipe made it, or was taught by one that is not
    given.
    """
    console = console or Console(stderr=True)
    recipe = adjusted(recipe_of(bench.manifest, bench.dataset), epochs)
    taught = name != UNTAUGHT
    if taught:
        require_teacher(bench.manifest, teacher, name)
    if name == TeacherAlone.name:
        return _teacher(bench, recipe, seed, console, teacher, command)
    what = variant(recipe, CHANGED[name])
    options = {"dataset": bench.dataset, "teacher": teacher if taught else None, "device": bench.device,
               "skip_bad": bench.skip_bad}  # fmt: skip
    manifest, epoch_s = trained(what, what.recipe, f"{bench.suite}-{name}", seed, options)
    write_halved(manifest, bench.folder(name))
    document = {
        "trials": 1, "chosen": "the recipe's own settings, as for the pair itself", "recipe": recipe.name, "seed": seed,
        "epochs": what.recipe.schedule.epochs, "seconds_per_epoch": {name: epoch_s}, "threads": 1, "data": bench.data,
        "command": command or bench.command(name),
    }  # fmt: skip
    write_json(bench.weights(name).with_suffix(".json"), document)
    return bench.folder(name)


def _teacher(
    bench: Bench, recipe: Recipe, seed: int, console: Console, teacher: str | None, command: str
) -> Path:  # fmt: skip
    """Ask a teacher about the test images: the recipe's own, made if it is missing, where none is given."""
    began, device = time.process_time(), pick_device(bench.device, recipe.threads)
    folder = teacher or str(own_teacher(recipe, bench.train(), seed, device, console))
    oracle = load_oracle(folder, bench.test.asked, device)
    decided = ask(oracle, bench.images).argmax(-1).numpy()
    about = {
        "teacher": oracle.id.name if teacher else recipe.teacher.model_type, "weights": weights_sha256(folder),
        "recipe": recipe.name, "seed": seed, "cpu_s": round(time.process_time() - began, 1),
        "validation": accuracy(folder, bench.validation(), device),
        "command": command or bench.command(TeacherAlone.name),
    }  # fmt: skip
    keep(bench, decided, about)
    return bench.weights(TeacherAlone.name).with_suffix(".json")
