"""Numbers of a training run, epoch by epoch: JSON lines, and TensorBoard where asked for.

Knows nothing about what the numbers mean.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import Any


class Metrics:
    """Writes FOLDER/metrics.jsonl, and with tensorboard=True event files too. A context manager.

    `done`: steps of an earlier process that still count; what it wrote of later ones is dropped.
    """

    def __init__(self, folder: Path, done: int = 0, tensorboard: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.jsonl"
        kept = path.read_text().splitlines(keepends=True)[:done] if done and path.is_file() else []
        self._file = path.open("w")
        self._file.writelines(kept)
        self._file.flush()
        self._board: Any = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder))

    def write(self, step: int, **values: float) -> None:
        """One line: {"step": step, name: value, ...}, flushed."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            if self._board is not None:
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()
