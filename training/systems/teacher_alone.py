"""The teacher alone on the images: no channel, so every place has the same number.

Knows nothing about teachers: its decisions are kept in a file, made once by `keep`, with the fingerprint of the images.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.files import write_json
from training.systems.bench import Bench
from training.systems.ours import missing
from training.systems.readback import read_document, reading
from training.systems.system import Measured, NotThere, Place, System


class TeacherAlone(System):
    """What distillation aims at, on the images themselves."""

    name = "teacher"

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def measure(self, place: Place, stream: int, seed: int) -> Measured:
        """See `System`; a teacher sends nothing, so it uses nothing."""
        decided = self._decided
        return Measured((decided == self.bench.labels).astype(float), 0.0, decided)

    @cached_property
    def _kept(self) -> dict[str, Any]:
        path = self.bench.weights(self.name).with_suffix(".json")
        if not path.is_file():
            raise NotThere(missing(self.bench, self.name))
        with reading(path, self.bench.command(self.name)):
            found = read_document(path)
            if found["data"] != self.bench.data:
                raise NotThere("its answers that are kept are to other images than these")
            decided = np.array(found["decided"])
            if decided.dtype != int or decided.shape != self.bench.labels.shape:
                raise ValueError(f"it has not one answer to each of {len(self.bench.labels)} images")
            if decided.min() < 0 or decided.max() >= len(self.bench.classes):
                raise ValueError(f"an answer is none of {len(self.bench.classes)} classes")
        return found

    @property
    def _decided(self) -> NDArray[np.int64]:
        return np.array(self._kept["decided"], np.int64)

    @property
    def about(self) -> dict[str, Any]:
        """See `System`."""
        return {key: value for key, value in self._kept.items() if key != "decided"}


def keep(bench: Bench, decided: NDArray[np.int64], about: dict[str, Any]) -> None:
    """Write a teacher's answers to a bench's test images, int64 [N], where `TeacherAlone` looks for them."""
    path = bench.weights(TeacherAlone.name).with_suffix(".json")
    write_json(path, {**about, "data": bench.data, "decided": decided.tolist()}, indent=None)
