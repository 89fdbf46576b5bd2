"""The method, and what is left of it without a part: variants of a recipe, by name.

Knows nothing about how a variant is trained or measured.
"""

from dataclasses import dataclass, replace

from common.errors import ConfigError
from common.pair.manifest import Manifest
from training.recipes.recipe import Recipe, adjusted

FULL = "full method"
NAMES = (
    "without distillation", "without adaptive module", "never told the SNR", "online teacher", "views 1",
    "beta 0.01", "dedicated to one SNR and rate",
)  # fmt: skip
OPTIONAL = "without auxiliary classifier", "without second stage"
"""Of recipes that have them."""
ROWS = TRUE, ALL, SAME = "true labels", "teacher of all", "teacher of the same"
"""What each share of the images is trained on."""
SNRS_DB = (-6.0, 0.0, 6.0, 12.0)
"""At which a variant is compared where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One row: what is changed in the recipe, and whether the teacher runs in every step."""

    name: str
    recipe: Recipe
    online: bool = False
    teacher: str | None = None
    """Folder or Hub id where it is not the one of all variants."""
    bank: bool = False
    """A model of its own for each SNR and rate."""
    start: Manifest | None = None
    """A pair whose weights it begins with."""


def variant(recipe: Recipe, name: str) -> Variant:
    """The method, what is left of it without a part, or with another number in it. Raises ConfigError."""
    match name.rpartition(" "):
        case "views", _, count if count.isdecimal():
            return Variant(name, adjusted(recipe, views=int(count)))
        case "beta", _, weight if weight.replace(".", "", 1).isdecimal():
            return Variant(name, adjusted(recipe, beta=float(weight)))
        case "encoder", _, shape:
            return Variant(name, adjusted(recipe, encoder=shape.replace("/", ",")))
    match name:
        case "full method":
            return Variant(FULL, recipe)
        case "without distillation":
            return Variant(name, adjusted(recipe, hard=1.0))
        case "without adaptive module":
            return Variant(name, adjusted(recipe, adaptive=False))
        case "never told the SNR":
            return Variant(name, replace(recipe, channel=replace(recipe.channel, missing=1.0)))
        case "online teacher":
            return Variant(name, recipe, online=True)
        case "dedicated to one SNR and rate":
            return Variant(name, recipe, bank=True)
        case "without auxiliary classifier" if recipe.loss.auxiliary:
            return Variant(name, replace(recipe, loss=replace(recipe.loss, auxiliary=0.0)))
        case "without second stage" if recipe.decisions:
            return Variant(name, replace(recipe, decisions=None))
    own = [part for part, has in zip(OPTIONAL, (recipe.loss.auxiliary, recipe.decisions), strict=True) if has]
    known = ", ".join((*NAMES, *own, "encoder WIDTH/BLOCKS/STRIDE"))
    raise ConfigError(f"--only: no variant '{name}'; there are {known} (any number of views, any beta)")


def dedicated(recipe: Recipe, snr_db: float, symbols: int) -> Recipe:
    """For one SNR and one rate, on both kinds of channel; all else, the store too, is the recipe's."""
    channel = replace(recipe.channel, snr_low_db=snr_db, snr_high_db=snr_db)
    return replace(recipe, channel=channel, layout=replace(recipe.layout, increments=(symbols,)))
