"""A head: classes that were enrolled, and the embeddings of their examples. It is one file, with a hash of its own.

Knows nothing about how a frame is judged by it (`judging.py`), or where the file lies (`shelf.py`).
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, ModelError
from common.pair.agreement import Agreement
from common.text import safe
from common.transport.sockets import MAX_FRAME_BYTES
from common.typed import decode
from scrx.heads.packed import expect, pack, unpack
from scrx.heads.space import Floats

FORMAT = "semlink head 1"
LARGEST = MAX_FRAME_BYTES - 4096
"""Bytes of a head: it fits into one message of a control port."""
LONGEST = 64
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Example:
    """A received picture. session: 32 hex digits; bits: as of `bits_of`; embedding: float32 [E]."""

    session: str
    seq: int
    bits: float
    embedding: Floats


@dataclass(frozen=True, slots=True)
class Known:
    """A class of a head. group: that it belongs to, "" for none; examples: how many."""

    name: str
    group: str
    examples: int


@dataclass(frozen=True, slots=True)
class About:
    """What a head's file says: whose it is, its classes in order, and where each example came from."""

    format: str
    model: str
    pair: str
    classes: tuple[Known, ...]
    sessions: tuple[str, ...]
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Examples of the classes in order, N together. embedding: float32 [N, E]; bits: float32 [N]."""

    name: str
    about: About
    embedding: Floats
    bits: Floats

    @classmethod
    def empty(cls, name: str, pair: Agreement, wide: int) -> "Head":
        """Without classes. ConfigError where a head cannot have this name."""
        about = About(FORMAT, pair.id, pair.name, (), (), ())
        return cls(check_head_name(name), about, np.zeros((0, wide), np.float32), np.zeros(0, np.float32))

    @property
    def classes(self) -> tuple[Known, ...]:
        """In the order of enrolment."""
        return self.about.classes

    @property
    def counts(self) -> NDArray[np.int64]:
        """Examples of each class, int64 [C]."""
        return np.array([one.examples for one in self.classes], np.int64)

    def of(self, name: str) -> Known | None:
        """The class of a name."""
        return next((one for one in self.classes if one.name == name), None)

    def with_class(self, name: str, group: str, examples: Sequence[Example]) -> "Head":
        """With these examples for a class, which may be there. ConfigError where they are too many to hold."""
        owners = np.repeat(np.arange(len(self.classes)), self.counts)
        place = next((k for k, one in enumerate(self.classes) if one.name == name), len(self.classes))
        known = self.of(name) or Known(name, group, 0)
        grown = replace(known, group=group or known.group, examples=known.examples + len(examples))
        order = np.argsort(np.append(owners, np.full(len(examples), place)), kind="stable")
        classes = (*self.classes[:place], grown, *self.classes[place + 1 :])
        embedding = np.concatenate([self.embedding, np.array([one.embedding for one in examples], np.float32)])
        bits = np.append(self.bits, np.array([one.bits for one in examples], np.float32))
        sessions = [*self.about.sessions, *(one.session for one in examples)]
        seqs = [*self.about.seqs, *(one.seq for one in examples)]
        made = self._made(classes, order, embedding, bits, sessions, seqs)
        if (size := len(made.packed())) > LARGEST:
            raise ConfigError(
                f"head '{self.name}' would have {size} bytes, and {LARGEST} are the most: enrol from fewer examples, "
                "or into another head"
            )
        return made

    def without(self, name: str) -> "Head":
        """Without a class, which must be there."""
        owners = np.repeat([one.name != name for one in self.classes], self.counts)
        classes = tuple(one for one in self.classes if one.name != name)
        about = self.about
        return self._made(classes, np.flatnonzero(owners), self.embedding, self.bits, about.sessions, about.seqs)

    def _made(
        self, classes: tuple[Known, ...], order: NDArray[np.int64], embedding: Floats, bits: Floats,
        sessions: Sequence[str], seqs: Sequence[int],
    ) -> "Head":  # fmt: skip
        chosen = order.tolist()
        about = replace(self.about, classes=classes, sessions=tuple(sessions[row] for row in chosen),
                        seqs=tuple(seqs[row] for row in chosen))  # fmt: skip
        return replace(self, about=about, embedding=embedding[order], bits=bits[order])

    def packed(self) -> bytes:
        """As a file."""
        return pack(asdict(self.about), {"embedding": self.embedding, "bits": self.bits})

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.packed()).hexdigest()


def parse_head(raw: bytes, name: str, pair: Agreement, wide: int) -> Head:
    """A head's file, whoever wrote it, as one of this pair, whose embedding is `wide`. ModelError says why not."""
    check_head_name(name)
    if len(raw) > LARGEST:
        raise ModelError(f"it has more than {LARGEST} bytes")
    document, tensors = unpack(raw)
    try:
        about = decode(About, document)
    except ValueError as error:
        raise ModelError(str(error)) from None
    if about.format != FORMAT:
        raise ModelError(f"its format is '{safe(about.format, 40)}', and this version of semlink reads '{FORMAT}'")
    if about.model != pair.id:
        theirs, ours = f"{safe(about.pair, 60)} ({safe(about.model, 12)})", f"{safe(pair.name, 60)} ({pair.id[:12]})"
        raise ModelError(f"it is a head for pair {theirs}, and this receiver runs {ours}: use it with that pair")
    total = sum(one.examples for one in about.classes)
    names = [check_class_name(one.name) for one in about.classes]
    if len(set(names)) != len(names) or any(one.examples < 1 for one in about.classes):
        raise ModelError("it names a class twice, or one without examples")
    if (len(about.sessions), len(about.seqs)) != (total, total):
        raise ModelError(f"its classes have {total} examples, and it says of {len(about.sessions)} whence they came")
    for one in about.classes:
        check_group_name(one.group)
    expect(tensors, {"embedding": (total, wide), "bits": (total,)})
    return Head(name, about, tensors["embedding"], tensors["bits"])


def check_head_name(name: str) -> str:
    """A head's name, which is that of its file. ConfigError where it cannot be one."""
    if not _FILE_NAME.fullmatch(name):
        raise ConfigError(
            f"'{safe(name, 60)}' is no name for a head: letters, digits, '.', '_' and '-', no '.' in front, {LONGEST} "
            "at most"
        )
    return name


def check_class_name(name: str, what: str = "class") -> str:
    """ConfigError where a class cannot have this name."""
    if not name.strip() or name != name.strip() or len(name) > LONGEST or safe(name) != name:
        raise ConfigError(
            f"'{safe(name, 60)}' is no name for a {what}: 1 to {LONGEST} characters that can be printed, no blank at "
            "either end"
        )
    return name


def check_group_name(name: str) -> str:
    """As of a class; "" for no group."""
    return name and check_class_name(name, "group")
