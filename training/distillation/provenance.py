"""What made a pair, as its manifest remembers it: command, data, recipe, soft labels, versions.

Knows nothing about how it is made. Neither time nor a path is in it, so that the same run gives the same model id,
wherever its files lie.
"""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from common import __version__
from common.files import user_path
from training.recipes.recipe import Recipe

LIBRARIES = ("torch", "numpy", "transformers")
PLACES = ("--out", "--run", "--store", "--device", "--config", "--log-level")
"""Options that say where and how, but not what."""


def provenance(
    recipe: Recipe, seed: int, soft_labels: str, teacher: str | None, data: str, transmitter: str, fitted: bool
) -> Mapping[str, str]:
    """soft_labels: where they came from; teacher: whose store they lay in, None without one; data: fingerprint of the
    images; transmitter: its cost in words; fitted: whether the head is not that which was trained.

    Who has the command and no such store makes it again: so a store that was given is told by its teacher.
    """
    words = without_paths(sys.argv[1:])
    given = any(word.partition("=")[0] == "--store" for word in sys.argv[1:])
    if given and teacher and not any(word.partition("=")[0] == "--teacher" for word in words):
        words += ["--teacher", teacher]
    return {
        "command": " ".join(("python -m training.distill", *words)),
        "data": data,
        "transmitter": transmitter,
        "recipe": recipe.name,
        "epochs": str(recipe.schedule.epochs),
        **({"fraction": f"{recipe.fraction:g}"} if recipe.fraction < 1 else {}),
        "loss": f"{recipe.loss}",
        "soft_labels": soft_labels,
        **({"head": "fitted to the features at the end"} if fitted else {}),
        "seed": str(seed),
        "semlink": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def without_paths(words: Sequence[str]) -> list[str]:
    """The arguments: what names a file of this machine is cut down to its last part, and the places of outputs go."""
    kept, skip = [], False
    for word in words:
        option, equals, value = word.partition("=")
        if not skip and option not in PLACES:
            path = value if equals else word
            names = [os.path.basename(_whole(one)) if _is_path(one) else one for one in path.split(",")]
            kept.append((option + equals if equals else "") + ",".join(names))
        skip = not skip and option in PLACES and not equals
    return [word for word in kept if word]


def _whole(path: str) -> str:
    return os.path.realpath(os.path.expanduser(path))


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or ("/" in text and user_path(text).exists())
