"""What a receiver does with embeddings: each head's answer to each frame, and examples for the class being enrolled.

Knows nothing about sockets or workers: whoever decoded a frame, it is judged here, so that a class which is enrolled
counts from one moment on for all of them. Transmitters are told nothing of it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import ConfigError
from common.files import user_path
from common.pair.agreement import Agreement
from common.pair.manifest import Manifest
from common.protocol.messages import Result, Status
from common.text import safe
from scrx.decoding.tasks import Embedding, Outputs
from scrx.demodulation.demodulate import SoftBatch
from scrx.heads.enrolment import Collector
from scrx.heads.head import Example
from scrx.heads.shelf import Shelf
from scrx.heads.space import Floats, Space, bits_of, find_space

WANTED = Embedding.name


class Heads:
    """For the threads that decode; shelf and collector are for that of the control port, too.

    order: points of the pair's QAM.
    """

    def __init__(self, shelf: Shelf, order: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.shelf, self.collector, self.clock, self._order = shelf, Collector(), clock, order

    def ask(self, soft: SoftBatch) -> "Asked | None":
        """A batch of which the decoder is to give the embeddings, too; None where nobody wants them."""
        if not self.shelf.judges and not self.collector.waits(self.clock()):
            return None
        return Asked(self, soft, bits_of(soft.gamma, soft.place, self._order))

    def answers(self, embedding: Floats, bits: Floats) -> list[dict[str, Any]]:
        """What each head says of each row, by its name; embedding: float32 [B, E]; bits: float32 [B]."""
        told: list[dict[str, Any]] = [{} for _ in embedding]
        for name, judge in self.shelf.judges.items():
            if judge.head.classes:
                for row, answer in zip(told, judge.answers(embedding, bits), strict=True):
                    row[name] = answer
        return told


class Asked:
    """One batch on its way through the decoder and back. soft: with the embedding among the tasks of each row."""

    def __init__(self, heads: Heads, soft: SoftBatch, bits: Floats) -> None:
        self._heads, self._tasks, self._bits = heads, soft.tasks, bits
        self.soft = replace(soft, tasks=tuple(tuple(dict.fromkeys((*names, WANTED))) for names in soft.tasks))

    def take(self, outputs: Sequence[Outputs | None]) -> None:
        """What the decoder gave: embeddings stay in it only where the row's transmitter agreed on that task.

        None: no answer. Such a row is none of those of `judge`.
        """
        self._bits = self._bits[[one is not None for one in outputs]]
        taken = [
            one[WANTED] if WANTED in names else one.pop(WANTED)
            for names, one in zip(self._tasks, outputs, strict=True)
            if one is not None
        ]
        self._embedding = np.nan_to_num(np.array([one["vector"] for one in taken], np.float32))

    def judge(self, results: Sequence[Result]) -> list[dict[str, Any]]:
        """What the heads say of each row, after `take`; rows answered for good are examples, if any are wanted."""
        now = self._heads.clock()
        if self._heads.collector.waits(now):
            rows = zip(results, self._bits.tolist(), self._embedding, strict=True)
            final = [
                Example(result.session.hex(), result.seq, bits, embedding)
                for result, bits, embedding in rows
                if result.status is Status.OK
            ]
            self._heads.collector.offer(final, now)
        return self._heads.answers(self._embedding, self._bits)


def open_heads(pair: Agreement, folder: str | Path | None, unknown: float) -> Heads:
    """The heads of a receiver of this pair, with those that the folder keeps; unknown: as of `Judge`.

    Raises ConfigError where the pair cannot have any, ModelError where its space or a file in the folder is damaged.
    """
    able, space = _enrolling(pair)
    return Heads(Shelf(able, space, None if folder is None else _place(folder), unknown), able.order)


def check_heads(pair: Agreement, folder: str | Path | None, unknown: float) -> str:
    """What `open_heads` would find, for people. Raises as that would, and leaves everything as it is."""
    able, space = _enrolling(pair)
    if folder is None:
        return "in memory alone"
    return f"{Shelf(able, space, None, unknown).check(_place(folder))} in {safe(folder, 300)}"


def _place(folder: str | Path) -> Path:
    """A Path is as it is; of text `~` is put in full."""
    return folder if isinstance(folder, Path) else user_path(folder)


def _enrolling(pair: Agreement) -> tuple[Manifest, Space]:
    """A pair by whose embedding classes can be enrolled, and its space."""
    space = find_space(pair)
    if not isinstance(pair, Manifest) or WANTED not in pair.tasks:
        raise ConfigError(f"pair {safe(pair.name, 60)} gives no embedding, by which classes could be enrolled")
    return pair, space
