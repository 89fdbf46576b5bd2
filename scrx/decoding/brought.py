"""What decodes: the pair's own half, here or in workers, or a decoder that somebody brings.

Knows nothing about sockets, sessions or batches. What a brought decoder gives is checked in `brought_answers.py`.
"""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from common import log
from common.check import takes
from common.errors import ConfigError, SemlinkError
from common.pair.agreement import Agreement
from common.pair.certainty import attainable, shares_of
from common.pair.manifest import Manifest, read_half
from common.text import safe
from scrx.decoding.answerer import Answerer
from scrx.decoding.brought_answers import Unusable, said
from scrx.decoding.tasks import Embedding, Outputs
from scrx.decoding.worker import Decode
from scrx.demodulation.demodulate import SoftBatch

logger = logging.getLogger(__name__)
TELL_AGAIN_S = 1.0
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


def decode_by(decoder: Brought | None, manifest: Agreement, wide: int = 0) -> "Decoding":
    """Somebody else's decoder, which knows nothing of words, or one in the place of the pair's own; None: the pair's.

    wide: numbers of an embedding, where heads judge by it; 0: there are none.
    Raises ConfigError and ModelError as `readable`, ModelError as `Answerer`.
    """
    if decoder is None:
        return Decoding(Answerer(readable(manifest)).answer)
    if isinstance(decoder, Answers):
        return Decoding(decoder.answer, manifest.labels, wide)
    return Decoding(lambda soft: decoder(soft.symbols, soft.gamma, soft.tasks), manifest.labels, wide)


class Decoding:
    """A decoder in this process, of which no mistake ends more than the answers that it concerns.

    labels: names of the classes, by which its answers are checked; None: they are believed, as the pair's own are.
    wide: as of `decode_by`.
    """

    def __init__(self, decode: Decode, labels: Sequence[str] | None = None, wide: int = 0) -> None:
        self._decode, self._labels, self._wide = decode, labels, wide
        self.unanswered = 0
        """Batches in a row of which no frame was answered."""
        self.fault = ""
        """What was wrong the last time; empty: nothing was so far."""
        self._told_s = -TELL_AGAIN_S

    def __call__(self, soft: SoftBatch) -> list[Outputs | None]:
        """One {task: answer} per row; None where there is none, which the log explains.

        A KeyboardInterrupt alone comes through: somebody wants all of it to end.
        """
        rows = len(soft.tasks)
        try:
            given = self._decode(soft)
            if self._labels is not None:
                given = self._checked(given, soft.tasks, self._labels)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit is one, and would end this thread without a word
            self._tell(error, rows)
            given = [None] * rows
        self.unanswered = self.unanswered + 1 if given.count(None) == rows else 0
        return given

    def _checked(self, given: object, tasks: Sequence[Sequence[str]], labels: Sequence[str]) -> list[Outputs | None]:
        rows = len(tasks)
        if not isinstance(given, list | tuple) or len(given) != rows:
            many = f" of {len(given)}" if isinstance(given, list | tuple) else ""
            raise Unusable(f"the decoder gave {type(given).__name__}{many} and must give a list of {rows} answers")
        heads = self._wide
        found = [
            said(one, labels, heads if heads and Embedding.name in names else 0)
            for one, names in zip(given, tasks, strict=True)
        ]
        if faults := [one for one in found if isinstance(one, Unusable)]:
            self._tell(faults[0], len(faults))
            return [None if isinstance(one, Unusable) else one for one in found]
        return found  # type: ignore[return-value]

    def _tell(self, error: BaseException, frames: int) -> None:
        """Once a second at most: a decoder that fails may do so at every frame, and `Receiver.failed` counts them."""
        self.fault = safe(error if isinstance(error, SemlinkError) else repr(error), 300)
        if (now_s := time.monotonic()) - self._told_s >= TELL_AGAIN_S:
            self._told_s = now_s
            logger.error("decoding_failed", extra={"why": self.fault, "frames": frames}, exc_info=error)


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
