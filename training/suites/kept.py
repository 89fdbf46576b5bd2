"""Results on disk, a line as each comes: what was measured of the same weights, images and code is not measured again.

Knows nothing about systems. A line that a kill cut off is measured again, and a reason is asked for again: what was
missing may be there by now.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from training.systems.system import Place

NAME = "points.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each image at a place. right: float64 [K, N], K streams; decided: int64 [K, N] where there are
    answers; uses: mean channel uses; reason: why there is nothing, and then right has no rows."""

    right: NDArray[np.float64]
    uses: float = 0.0
    decided: NDArray[np.int64] | None = None
    reason: str | None = None


class Kept:
    """FOLDER/points.jsonl: outcomes by what they are of. A context manager."""

    def __init__(self, folder: Path, labels: NDArray[np.int64]) -> None:
        """labels: int64 [N] of the images, by which answers that are kept are right or not."""
        folder.mkdir(parents=True, exist_ok=True)
        self._labels, self._path = labels, folder / NAME
        self._known: dict[str, Outcome] = {}
        raw = self._path.read_bytes() if self._path.is_file() else b""
        for line in raw.splitlines():
            self._take(line)
        self._file = self._path.open("ab")
        if raw and not raw.endswith(b"\n"):  # a line that a kill cut off
            self._file.write(b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, key: str) -> Outcome | None:
        """What is known; None: to be measured."""
        return self._known.get(key)

    def put(self, key: str, outcome: Outcome, said: Mapping[str, Any]) -> None:
        """Write it down, whole before this returns. said: for people who read the file."""
        document = {"key": key, **said, "uses": outcome.uses}
        if outcome.decided is not None:
            document["decided"] = _packed(outcome.decided.astype("<u2"))
        else:
            document["right"] = _packed(outcome.right.astype("<f8"))
        self._file.write(json.dumps(document).encode() + b"\n")
        self._file.flush()
        self._known[key] = outcome

    def _take(self, line: bytes) -> None:
        """Lines that are cut off, or of other images, are left as they are and not taken."""
        with suppress(ValueError, KeyError, TypeError, zlib.error):
            document = json.loads(line)
            self._known[document["key"]] = self._outcome(document)

    def _outcome(self, document: Mapping[str, Any]) -> Outcome:
        count = len(self._labels)
        if "decided" in document:
            decided = _unpacked(document["decided"], "<u2").astype(np.int64).reshape(-1, count)
            return Outcome((decided == self._labels).astype(float), document["uses"], decided)
        return Outcome(_unpacked(document["right"], "<f8").reshape(-1, count), document["uses"])


def key_of(suite: str, made_of: Mapping[str, str], name: str, place: Place, seed: int, streams: int) -> str:
    """What an outcome is of, as a hash. made_of: hashes of pair, images, weights and code."""
    parts = [suite, dict(made_of), name, asdict(place), seed, streams]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _packed(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes())).decode()


def _unpacked(text: str, kind: str) -> NDArray[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind)
