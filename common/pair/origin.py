"""Where the pictures of a pair lie that was trained here: a note of this user's, found by the pair's id.

A pair never chooses what is read or sent: its manifest may come from anybody. So the place is no part of the pair, and
the note is no file in its folder, which would travel with it: it lies in the user's own state folder, and only training
on this machine writes it. Knows nothing about what is done with the pictures.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import ConfigError

if TYPE_CHECKING:
    from common.pair.manifest import Manifest

BUILT_IN = ("digits",)
"""Data sets that come with the project or its libraries: nothing private, nothing to fetch."""
LONGEST = 1 << 16


def state_folder() -> Path | None:
    """$XDG_STATE_HOME/semlink, or ~/.local/state/semlink; None for a user without a home."""
    base = os.environ.get("XDG_STATE_HOME", "")
    try:
        home = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return home / "semlink" if home.is_absolute() else None


def remember(pair_id: str, dataset: str) -> Path | None:
    """Note that pair `pair_id` was trained here on `dataset`, a folder or a Hub id; returns the note.

    None where it could not be kept: then `--dataset` or `--source` has to be given.
    """
    folder = state_folder()
    if folder is None:
        return None
    path = Path(dataset).expanduser()
    note = folder / "pairs" / f"{pair_id}.json"
    document = {"dataset": str(path.resolve()) if path.is_dir() else dataset}
    with suppress(OSError):
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = note.with_name(f".{note.name}.{os.getpid()}.tmp")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
            json.dump(document, file)
        beside.replace(note)
        return note
    return None


def recall(pair_id: str) -> str | None:
    """What `remember` noted; None where there is no note, or nothing that could be one."""
    folder = state_folder()
    if folder is None or not pair_id.isalnum():
        return None
    try:
        raw = (folder / "pairs" / f"{pair_id}.json").read_bytes()[:LONGEST]
        dataset = json.loads(raw)["dataset"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return dataset if isinstance(dataset, str) and dataset else None


def dataset_of(manifest: "Manifest", option: str = "--dataset") -> str:
    """The data set of a pair that was trained here, or the built-in one that it was trained on.

    ConfigError where neither is known, with what to say instead. option: that takes it, `--dataset` or `--source`.
    """
    known = manifest.dataset if manifest.dataset in BUILT_IN else recall(manifest.id)
    if known is None:
        raise ConfigError(
            f"pair {manifest.name} was not trained here by this user, so where its pictures ('{manifest.dataset}') lie "
            f"is not known, and a pair does not choose what is read: give {option}"
        )
    return known
