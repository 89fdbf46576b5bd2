"""What decodes: the pair's own half, here or in workers, or a decoder that somebody brings.

Knows nothing about sockets, sessions or batches.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from common import log
from common.check import takes
from common.errors import ConfigError
from common.pair.agreement import Agreement
from common.pair.certainty import attainable, shares_of
from common.pair.manifest import Manifest, read_half
from scrx.decoding.answerer import Answerer
from scrx.decoding.worker import Decode
from scrx.demodulation.demodulate import SoftBatch

Answer = Callable[[NDArray[np.complex64], NDArray[np.float32], Sequence[Sequence[str]]], list[Any]]
"""symbols, complex64 [B, S], equalised; gamma, float32 [B, S], their linear SNR; tasks per row -> {task: answer} of a
row, `{"classify": {"index": 3, "name": "3", "confidence": 0.9}}` say: what a decoder is that somebody brings."""


@runtime_checkable
class Answers(Protocol):
    """A decoder that is given all that the pair's own is (`scrx.decoding.answerer.Answerer`), such as one elsewhere."""

    def answer(self, soft: SoftBatch) -> list[Any]: ...


Brought = Answer | Answers


def check_brought(decoder: Brought | None) -> None:
    """ConfigError for what cannot be called as one of these."""
    if isinstance(decoder, Answers):
        takes("decoder", decoder.answer, "soft")
    elif decoder is not None:
        takes("decoder", decoder, "symbols", "gamma", "tasks")


def decode_by(decoder: Brought | None, manifest: Agreement) -> Decode:
    """Somebody else's decoder, which knows nothing of words, or one in the place of the pair's own; None: the pair's.

    Raises ConfigError and ModelError as `readable`, ModelError as `Answerer`.
    """
    if decoder is None:
        return Answerer(readable(manifest)).answer
    if isinstance(decoder, Answers):
        return decoder.answer
    return lambda soft: decoder(soft.symbols, soft.gamma, soft.tasks)


def attainable_by(decoder: Brought | None, manifest: Agreement) -> list[float]:
    """Confidence of each class at most, by the pair's own decoder or one in its place; empty where nobody knows."""
    own = decoder is None or isinstance(decoder, Answers)
    shares = shares_of(manifest) if own else None
    return [] if shares is None else attainable(shares).tolist()


def readable(manifest: Agreement) -> Manifest:
    """A pair whose decoder's file is the one that it names. ConfigError where it is no pair, ModelError if damaged."""
    if not isinstance(manifest, Manifest):
        raise ConfigError(f"{manifest.name} is no pair: give a decoder")
    read_half(manifest, "decoder")
    return manifest


def worker_command(manifest: Manifest) -> list[str]:
    """How a worker is started."""
    form = "json" if log.is_json() else "text"
    return [sys.executable, "-m", "scrx.decoding.worker", str(manifest.path.resolve()), manifest.id, form]
