"""The weights of a card that do not ship, made again by the command that the card says. Knows nothing about decisions.

A card may come from anybody: of its command only the training of a pair is run, with no place of a file in it.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from common.errors import ConfigError, SemlinkError
from common.text import safe
from training.cards.card import Card
from training.distillation.provenance import PLACES

COMMAND = ("python", "-m", "training.distill")
TAKEN = ("--recipe", "--dataset", "--epochs", "--seed", "--fraction", "--force", "--skip-bad", "--by-position")
"""Options that a card may name."""


def words_of(card: Card, dataset: str | None, out: Path) -> list[str]:
    """What is to be run, without the interpreter. ConfigError for a command that a card may not ask for.

    dataset: in the place of the one that the card names, which may be no place on this machine.
    """
    words = shlex.split(card.retrain or "")
    options = [word.partition("=")[0] for word in words[3:] if word.startswith("-")]
    if tuple(words[:3]) != COMMAND or any(one not in TAKEN for one in options):
        raise ConfigError(
            f"`{safe(card.retrain)}` is no training of a pair by {', '.join(TAKEN)}: run it yourself, and give --pair"
        )
    return [*words[1:], *(("--dataset", dataset) if dataset else ()), PLACES[0], str(out)]


def trained(card: Card, dataset: str | None, out: Path) -> Path:
    """Run it; the folder of the pair that it made. SemlinkError where it fails."""
    words: Sequence[str] = [sys.executable, *words_of(card, dataset, out)]
    code = subprocess.run(words, check=False).returncode
    if code:
        raise SemlinkError(f"`{' '.join(words[1:])}` ended with exit code {code}")
    return out
