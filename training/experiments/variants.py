"""The method, and what is left of it without a part: variants of a recipe, by name.

Knows nothing about how a variant is trained or measured.
"""

from dataclasses import dataclass, replace

from common.errors import ConfigError
from training.recipes.recipe import Recipe, adjusted

FULL = "full method"
NAMES = ("without distillation", "without embedding", "online teacher", "views 1")
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


def variant(recipe: Recipe, name: str) -> Variant:
    """The method, what is left of it without a part, or with another number in it. Raises ConfigError."""
    match name.rpartition(" "):
        case "views", _, count if count.isdecimal():
            return Variant(name, adjusted(recipe, views=int(count)))
        case "encoding", _, kept:
            return Variant(name, adjusted(recipe, encoding=kept))
        case "embedding", _, size if size.isdecimal() and int(size):
            return Variant(name, adjusted(recipe, embedding=int(size)))
        case "encoder", _, shape:
            return Variant(name, adjusted(recipe, encoder=shape.replace("/", ",")))
    match name:
        case "full method":
            return Variant(FULL, recipe)
        case "without distillation":
            return Variant(name, adjusted(recipe, hard=1.0))
        case "without embedding":
            return Variant(name, replace(recipe, embedding=0, loss=replace(recipe.loss, embedding=0.0)))
        case "online teacher":
            return Variant(name, recipe, online=True)
    known = ", ".join((*NAMES, "encoder WIDTH/BLOCKS/STRIDE"))
    raise ConfigError(f"--only: no variant '{name}'; there are {known} (any views, encoding or bytes of embedding)")
