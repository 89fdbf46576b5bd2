"""The recipe that made a pair, as far as its manifest tells. Knows nothing about images or training.

A manifest may come from anybody: what it says is checked, and what does not fit together is not guessed.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from common.errors import ConfigError
from common.pair.manifest import Manifest
from common.text import safe
from training.recipes.fitted import recipe_for
from training.recipes.recipe import CONFIGS, Recipe, adjusted, load_recipe

DIGITS = "digits"


def share_of(manifest: Manifest) -> float:
    """Share of the training images that a pair was made of, above 0 and at most 1. ConfigError where it is neither."""
    said = manifest.provenance.get("fraction") or _given(manifest, "--fraction") or "1"
    try:
        share = float(said)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ConfigError(
            f"pair {manifest.name}: its share of images must be above 0 and at most 1, not {safe(said, 40)}"
        )
    return share


def teacher_of(manifest: Manifest) -> str | None:
    """The teacher that was given when it was made, without its folder; None where the recipe's own taught it."""
    return _given(manifest, "--teacher")


def require_teacher(manifest: Manifest, teacher: str | None, system: str) -> None:
    """ConfigError where a pair was taught by one that was given, and none is given for what is made as it was."""
    if teacher is None and (given := teacher_of(manifest)):
        raise ConfigError(f"{system}: pair {manifest.name} was taught by {safe(given, 60)}; give it by --teacher")


def recipe_of(manifest: Manifest, dataset: str) -> Recipe:
    """Its recipe, or the one that fits the data where none was named; its own passes, share and transmitter.

    ConfigError where that is not known: of a pair by a recipe that lies in a file of its own, by one that was fitted to
    other data than these, or without any note.
    """
    noted, asked = manifest.provenance, _given(manifest, "--recipe")
    name, passes = noted.get("recipe"), noted.get("epochs", "")
    if name is None or not (passes.isdecimal() and int(passes)):
        raise ConfigError(f"pair {manifest.name} does not say by which recipe it was made")
    if asked is not None and asked not in _known():
        raise ConfigError(
            f"pair {manifest.name} was made by recipe {safe(asked, 60)}, which is none of training/configs"
        )
    own = asked or (DIGITS if (_given(manifest, "--dataset") or DIGITS) == DIGITS else None)
    recipe = load_recipe(own) if own else recipe_for(dataset, None)[0]
    if recipe.name != name:
        told = f"was made by recipe {safe(name, 60)}, and these data have {recipe.name}"
        raise ConfigError(f"pair {manifest.name} {told}: give the data that it was made of")
    wanted = int(passes)
    recipe = adjusted(recipe, None if wanted == recipe.schedule.epochs else wanted, fraction=share_of(manifest))
    return replace(recipe, encoder=manifest.encoder)


def _known() -> Sequence[str]:
    return sorted(found.stem for found in CONFIGS.glob("*.toml"))


def _given(manifest: Manifest, option: str) -> str | None:
    """What the command that made a pair says for an option."""
    words = manifest.provenance.get("command", "").replace("=", " ").split()
    return next((given for word, given in pairwise(words) if word == option), None)
