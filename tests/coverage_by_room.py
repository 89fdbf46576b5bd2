"""Prints what coverage.py measured, by room: `python -m tests.coverage_by_room build/coverage/lines.json`.

Knows nothing about how it was measured: `make coverage` does that first.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from training.report.tabular import print_table


def by_room(files: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """files: as `coverage json` writes them -> room: (statements that ran, statements), sorted, and their sum last."""
    rooms: dict[str, tuple[int, int]] = {}
    for name, file in sorted(files.items()):
        ran, all_ = rooms.get(room := str(PurePosixPath(name.replace("\\", "/")).parent), (0, 0))
        found = file["summary"]
        rooms[room] = ran + found["covered_lines"], all_ + found["num_statements"]
    rooms["all"] = tuple(map(sum, zip(*rooms.values(), strict=True)))  # type: ignore[assignment]
    return rooms


def main(path: Path) -> None:
    """path: the file that `coverage json` wrote."""
    rooms = by_room(json.loads(path.read_text(encoding="utf-8"))["files"])
    rows = [(room, ran, of, f"{100 * ran / of:.1f} %" if of else "") for room, (ran, of) in rooms.items()]
    print_table("lines that the tests run", ("room", "ran", "of", "share"), rows, left=("room",))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
