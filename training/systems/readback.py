"""What `training.baseline` wrote of a system, read again. Knows nothing about what systems keep.

Whatever is wrong with such a file is one line that names it, and with that the reason why a suite has no number.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from common.errors import ModelError


@contextmanager
def reading(path: Path, again: str) -> Iterator[None]:
    """Around whatever reads a file and looks at it: ModelError says what is wrong with it, and `again` what to do."""
    try:
        yield
    except KeyError as error:
        raise ModelError(f"{path}: it has no {error}; {again}") from error
    except (OSError, ValueError, TypeError, AttributeError, IndexError, SafetensorError) as error:
        raise ModelError(f"{path}: {error}; {again}") from error


def read_document(path: Path) -> dict[str, Any]:
    """A JSON file that is a table. Call inside `reading`."""
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError("it is no table")
    return found
