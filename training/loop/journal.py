"""The curve of a training run: written epoch by epoch as JSON lines, read again, and drawn.

Knows nothing about what is trained.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from training.report.figures import Curve, Panel, draw

NAME = "metrics.jsonl"
CURVE = "curve.png"
"""The figure beside it."""


class Journal:
    """Writes FOLDER/metrics.jsonl. A context manager.

    `done`: steps of an earlier process that still count; what it wrote of later ones is dropped.
    """

    def __init__(self, folder: Path, done: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / NAME
        kept = path.read_text().splitlines(keepends=True)[:done] if done and path.is_file() else []
        self._file = path.open("w")
        self._file.writelines(kept)
        self._file.flush()

    def write(self, step: int, **values: float) -> None:
        """One line: {"step": step, name: value, ...}, flushed."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def epochs(folder: Path) -> list[dict[str, float]]:
    """What a run wrote to FOLDER/metrics.jsonl, an entry per epoch."""
    return [json.loads(line) for line in (folder / NAME).read_text().splitlines()]


def draw_curve(path: Path, runs: Mapping[str, Path]) -> None:
    """The loss of each stage (its name, the folder of its run) against its own epochs."""
    curves = []
    for name, folder in runs.items():
        run = epochs(folder)
        curves.append(Curve(name, [one["step"] + 1 for one in run], [one["loss"] for one in run]))
    draw(path, [[Panel(curves, "epoch", "mean loss")]])
