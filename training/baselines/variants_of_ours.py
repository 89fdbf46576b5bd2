"""What is made as a pair was and compared with it: its recipe with one thing changed, a dedicated bank, its teacher.

Knows nothing about how a pair is distilled. What is made lies where `Bench` looks for it, in half precision, and beside
it a file that says what it took. A run that was killed goes on where it was.
"""

import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from common.errors import ConfigError
from common.files import write_json
from common.pair.device import pick_device
from training.distillation.pairs import write_halved
from training.distillation.reuse import own_teacher
from training.experiments.trials import trained
from training.experiments.variants import Variant, dedicated, variant
from training.recipes.recipe import Recipe, adjusted, load_recipe
from training.systems.bench import Bench
from training.systems.ours import Bank
from training.systems.teacher_alone import TeacherAlone, keep
from training.teachers.find import load_oracle, weights_sha256
from training.teachers.oracles import ask
from training.teachers.pretrain import accuracy

CHANGED = {
    "no-distillation": "without distillation",
    "online-distillation": "online teacher",
    "never-told": "never told the SNR",
    "no-adaptive-module": "without adaptive module",
}
"""Systems, and what `training.ablate` calls what is changed."""
NAMES = (*CHANGED, Bank.name, TeacherAlone.name)
BANK_DB = (-10, -6, -3, 0, 6)
"""From 6 dB on a pair of 16 symbols loses nothing to noise any more, so the last serves all that is above."""
BANK_SYMBOLS, BANK_PILOTS = 16, 112
"""What a member of the bank sends, and pilots in its training: so many that the channel is as good as known."""
BANK_EPOCHS, BANK_LR = 60, 1e-3
"""Of a member, which begins with the pair's own weights: from nothing, at one low SNR alone, it learns far less."""


def make(bench: Bench, name: str, seed: int = 0, epochs: int | None = None, console: Console | None = None) -> Path:
    """Make one of NAMES for a bench, as its suite's pair was made; returns where it lies.

    epochs: of the student; None: the recipe's. ConfigError where the pair does not say which recipe made it.
    """
    console = console or Console(stderr=True)
    recipe = recipe_of(bench, epochs)
    if name == TeacherAlone.name:
        return _teacher(bench, recipe, seed, console)
    parts = {name: variant(recipe, CHANGED[name])} if name in CHANGED else bank(bench, recipe)
    epoch_s, options = {}, {"dataset": bench.dataset, "teacher": None, "device": bench.device}
    for one, what in parts.items():
        manifest, epoch_s[one] = trained(what, what.recipe, f"{bench.suite}-{one}", seed, options)
        write_halved(manifest, bench.folder(name) / one if name == Bank.name else bench.folder(name))
    own = "the recipe's own settings, as for the pair itself"
    begun = f"; each begins with the pair's weights, lr {BANK_LR}, {BANK_PILOTS} pilots in training: a known channel"
    passes = [one.recipe.schedule.epochs for one in parts.values()]
    document = {
        "trials": 1, "chosen": own + begun * (name == Bank.name), "recipe": recipe.name, "seed": seed,
        "epochs": passes[0], "seconds_per_epoch": epoch_s, "threads": 1, "data": bench.data,
        "command": f"python -m training.baseline --suite {bench.suite} --system {name}",
    }  # fmt: skip
    write_json(bench.weights(name).with_suffix(".json"), document)
    return bench.folder(name)


def bank(bench: Bench, recipe: Recipe) -> dict[str, Variant]:
    """The members of the bank by the names of their folders: for AWGN, a known channel, one SNR and one rate."""
    epochs = min(BANK_EPOCHS, recipe.schedule.epochs)
    found = {}
    for snr_db in BANK_DB:
        one = dedicated(recipe, float(snr_db), BANK_SYMBOLS)
        one = replace(
            one,
            channel=replace(one.channel, rayleigh=0.0, missing=0.0, report_error_db=0.0),
            layout=replace(one.layout, pilots=BANK_PILOTS),
            schedule=replace(one.schedule, epochs=epochs, lr=BANK_LR),
        )
        found[f"{snr_db}dB"] = Variant(Bank.name, one, start=bench.manifest)
    return found


def recipe_of(bench: Bench, epochs: int | None) -> Recipe:
    """The recipe that made the pair, by its provenance."""
    name = bench.manifest.provenance.get("recipe")
    if name is None:
        raise ConfigError(f"pair {bench.manifest.name} does not say by which recipe it was made")
    return adjusted(load_recipe(name), epochs)


def _teacher(bench: Bench, recipe: Recipe, seed: int, console: Console) -> Path:
    """Ask the recipe's own teacher, made if it is missing, about the test images."""
    began, device = time.process_time(), pick_device(bench.device, recipe.threads)
    folder = str(own_teacher(recipe, bench.train(), seed, device, console))
    decided = ask(load_oracle(folder, bench.classes, device), bench.images).argmax(-1).numpy()
    about = {
        "teacher": recipe.teacher.model_type, "weights": weights_sha256(folder), "recipe": recipe.name, "seed": seed,
        "cpu_s": round(time.process_time() - began, 1), "validation": accuracy(folder, bench.validation(), device),
        "command": f"python -m training.baseline --suite {bench.suite} --system {TeacherAlone.name}",
    }  # fmt: skip
    keep(bench, decided, about)
    return bench.weights(TeacherAlone.name).with_suffix(".json")
