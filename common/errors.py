"""The exception tree. Knows nothing about sockets, torch or files.

    SemlinkError            anything we raise on purpose        exit 1
      ConfigError           wrong use: flag, name, path         exit 2
      DataError             an image or data set we cannot use  exit 2
      ProtocolError         bytes that are not our protocol     exit 1
      ModelError            a weight file or manifest is wrong  exit 1
      PeerRejected          the receiver refused us             exit 3
      LinkDown              no answer for too long            exit 4
      StoreError            the knowledge store cannot be used  exit 1

A message says what was wrong, where, and what to do.
"""


def by_pip(extra: str) -> str:
    """For messages: the command that brings what an extra of `pyproject.toml` names."""
    return f"`pip install '.[{extra}]'` in the project's folder"


class SemlinkError(Exception):
    """Base of every error raised on purpose; the command line prints it as one line."""

    exit_code = 1


class ConfigError(SemlinkError):
    """Wrong use: a flag, a name, a path."""

    exit_code = 2


class DataError(SemlinkError):
    """An image or a data set that cannot be used as it is."""

    exit_code = 2


class ProtocolError(SemlinkError):
    """Bytes that do not follow the protocol. `reason` is one of a closed set of short codes, fit for a counter."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class ModelError(SemlinkError):
    """A manifest or a weight file is missing, damaged or not ours."""


class PeerRejected(SemlinkError):
    """The receiver answered HELLO with REJECT."""

    exit_code = 3


class LinkDown(SemlinkError):
    """Nothing was heard from the receiver for longer than it is waited for (`give_up_s`)."""

    exit_code = 4


class StoreError(SemlinkError):
    """The knowledge store is incomplete, damaged or made for something else."""
