"""Data sets as the commands of training read them: the option --skip-bad, and what was found told on standard error.

Knows nothing about what is trained.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from common.images.datasets import ImageSet, load_for
from common.manifest import Manifest
from common.streams import tell

F = TypeVar("F", bound=Callable[..., Any])


def skip_bad_option(command: F) -> F:
    """Add --skip-bad to a click command that reads a data set."""
    text = "Leave out images that cannot be read or have no label, and say how many, instead of refusing the data set."
    return click.option("--skip-bad", is_flag=True, help=text)(command)


def tell_notes(notes: Iterable[str]) -> None:
    """What was left out of a data set or taken for something, a line each, no line twice."""
    for note in dict.fromkeys(notes):
        tell(f"note: {note}")


def load_told(manifest: Manifest, spec: str, split: str, skip_bad: bool = False) -> ImageSet:
    """As `load_for`, and its notes are told."""
    images = load_for(manifest, spec, split, skip_bad=skip_bad)
    tell_notes(images.notes)
    return images
