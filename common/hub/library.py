"""What the Hub and its library say, in the words and form of our own lines. Knows nothing about what is asked for."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from common import log
from common.text import safe


def refusal(error: BaseException) -> str:
    """Why nothing came, in brackets, and what to do: whoever has a network is not sent to look for one."""
    try:
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
    except ImportError:  # then it did not refuse anything
        return _else(error)
    if isinstance(error, RevisionNotFoundError):
        return "(it has no such revision); give a branch, a tag or a whole commit that is there"
    if isinstance(error, GatedRepoError):
        return "(its owner lets in who has asked there); ask, then log in by `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return "(it shows none of that name); look at the name, or log in by `hf auth login` if it is private"
    return _else(error)


def _else(error: BaseException) -> str:
    return f"({brief(error)}); without a network, give a local folder"


def brief(error: BaseException) -> str:
    """The message of an error of the library's, on one line and not too long."""
    return safe(" ".join(str(error).split()), 200) or type(error).__name__


@contextmanager
def in_our_form() -> Iterator[None]:
    """The library draws bars on standard error: only on a terminal, and not among lines of JSON."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    hidden = not are_progress_bars_disabled() and (log.is_json() or not sys.stderr.isatty())
    with warnings.catch_warnings():  # HF_HUB_DISABLE_PROGRESS_BARS=0: somebody means to see them
        warnings.simplefilter("ignore")
        if hidden:
            disable_progress_bars()
        try:
            yield
        finally:
            if hidden:
                enable_progress_bars()
