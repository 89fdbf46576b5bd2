"""OWNER/NAME[@REVISION] -> a folder with the files that were asked for: from the Hub's cache, else from the Hub.

Knows nothing about what is in the files: whoever reads them checks them, whatever the Hub says. What is in the cache is
not asked for again, so a branch stays what it was when it was fetched; a commit says for ever the same.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from common.console import tell
from common.errors import ConfigError, by_pip
from common.hub.library import brief, in_our_form, refusal

ANSWER_S = 5.0
"""How long the Hub may take to say what it has, before it counts as away."""
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w][\w./-]*)?")


def is_repository(text: str) -> bool:
    """Whether a text reads as OWNER/NAME[@REVISION], and is no path that begins with a folder which is here."""
    return bool(_ID.fullmatch(text)) and not Path(text.partition("/")[0]).exists()


def fetched(spec: str, needed: Sequence[str], more: Sequence[str], most_bytes: int) -> Path:
    """The folder of a snapshot that has all files of `needed`, and of `more` (patterns) what there is.

    spec: as `is_repository` takes it, without a revision the main branch. ConfigError without the library, where the
    Hub cannot be reached and the cache has not all, and where the repository lacks one or is larger than `most_bytes`.
    """
    try:
        from huggingface_hub import constants, snapshot_download
    except ImportError as error:
        told = (
            f"no folder '{spec}' here, and to ask the Hub for it needs huggingface_hub: install it by {by_pip('hub')}"
        )
        raise ConfigError(told) from error
    repository, _, revision = spec.partition("@")
    wanted = [*needed, *more]
    try:
        found = snapshot_download(repository, revision=revision or None, allow_patterns=wanted, local_files_only=True)
        if all(Path(found, name).is_file() for name in needed):
            return Path(found)
    except FileNotFoundError:  # nothing of it in the cache, or a part
        pass
    except ValueError as error:
        raise ConfigError(f"'{spec}' is no id of the Hub ({brief(error)}); give OWNER/NAME[@REVISION]") from error
    if constants.HF_HUB_OFFLINE:
        raise ConfigError(
            f"'{spec}' is not in the cache of the Hub, and HF_HUB_OFFLINE forbids to ask: "
            "fetch it where there is a network, or give a local folder"
        )
    try:
        _look(repository, revision or None, needed, most_bytes)
        tell(f"fetching {spec} from the Hub")
        with in_our_form():
            return Path(snapshot_download(repository, revision=revision or None, allow_patterns=wanted))
    except ConfigError:
        raise
    except Exception as error:  # the library raises its own, its client's and the system's errors
        raise ConfigError(f"no folder '{spec}' here, and none from the Hub {refusal(error)}") from error


def place_of(folder: Path) -> Path:
    """All that the cache has of the repository of a snapshot: less is taken from it again as it is."""
    return folder.parents[1]


def _look(repository: str, revision: str | None, needed: Sequence[str], most_bytes: int) -> None:
    """What there is, before anything is fetched: whoever published it may have put anything there."""
    from huggingface_hub import HfApi

    there = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=ANSWER_S).siblings or []
    if missing := sorted(set(needed) - {one.rfilename for one in there}):
        raise ConfigError(
            f"'{repository}' of the Hub has no {missing[0]}; give one that `python -m training.push` made"
        )
    size = sum(one.size or 0 for one in there)
    if size > most_bytes:
        raise ConfigError(f"'{repository}' of the Hub has {size >> 20} MiB; at most {most_bytes >> 20} are fetched")
