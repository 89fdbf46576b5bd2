"""The recipe that made a pair, as far as its manifest tells. Knows nothing about images or training."""

from dataclasses import replace
from itertools import pairwise

from common.errors import ConfigError
from common.pair.manifest import Manifest
from training.recipes.fitted import recipe_for
from training.recipes.recipe import CONFIGS, Recipe, adjusted, load_recipe


def share_of(manifest: Manifest) -> float:
    """Share of the training images that a pair was made of, above 0 and at most 1."""
    return float(manifest.provenance.get("fraction", "1"))


def teacher_of(manifest: Manifest) -> str | None:
    """The teacher that was given when it was made, without its folder; None where the recipe's own taught it."""
    words = manifest.provenance.get("command", "").replace("=", " ").split()
    return next((given for word, given in pairwise(words) if word == "--teacher"), None)


def recipe_of(manifest: Manifest, dataset: str) -> Recipe:
    """Its recipe, or the one that fits the data where none was named; its own passes, share and transmitter.

    ConfigError where that is not known: of a pair by a recipe that lies in a file of its own, or without any note.
    """
    noted = manifest.provenance
    name = noted.get("recipe")
    if name is None or "epochs" not in noted:
        raise ConfigError(f"pair {manifest.name} does not say by which recipe it was made")
    if (CONFIGS / f"{name}.toml").is_file():
        recipe = load_recipe(name)
    elif "--recipe" in noted.get("command", ""):
        raise ConfigError(f"pair {manifest.name} was made by recipe {name}, which is not one of training/configs")
    else:
        recipe = recipe_for(dataset, None)[0]
    passes = int(noted["epochs"])
    recipe = adjusted(recipe, None if passes == recipe.schedule.epochs else passes, fraction=share_of(manifest))
    return replace(recipe, encoder=manifest.encoder)
