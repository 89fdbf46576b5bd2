"""A result that is kept: what a command of this project has measured, with what it takes to measure it again. Sealed.

Knows nothing about what was measured. Where a single number has the decision about every image, it is a result card
(`training/cards`); this is for commands that write a whole table. A result holds no path.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import ConfigError, SemlinkError
from common.files import write_json
from common.text import safe
from common.typed import decode, parse

SCHEMA = 1
LARGEST = 4 << 20
"""Bytes of a result that are read at all."""
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Result:
    """pairs: name -> id of each that was measured; training_seeds: of those pairs, or of what the command trained.

    machine: on which it ran (`training.report.measured_on`); found: what the command wrote, as JSON has it, numbers
    rounded to six digits after the point; seal: SHA-256 of all other fields.
    """

    schema: int
    name: str
    command: str
    commit: str
    machine: Mapping[str, str]
    pairs: Mapping[str, str]
    training_seeds: tuple[int, ...]
    found: dict[str, Any]
    seal: str

    @property
    def sound(self) -> bool:
        """Whether nothing was altered since it was sealed."""
        return self.seal == _seal(self)


def write(result: Result, folder: Path) -> Path:
    """The result, sealed, as a file of `folder`; returns its path. SemlinkError where it has what JSON has not."""
    path = folder / f"{result.name}.json"
    rounded = replace(result, found=_rounded(result.found))
    write_json(path, asdict(replace(rounded, seal=_seal(rounded))), indent=None)
    return path


def read(path: Path) -> Result:
    """The result of a file. ConfigError where there is no file; SemlinkError where it is none, or was altered."""
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: no such result")
        if path.stat().st_size > LARGEST:
            raise ValueError(f"a result has at most {LARGEST >> 20} MiB")
        document = parse(path.read_bytes())
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"a result of this version of semlink says schema {SCHEMA}")
        result = decode(Result, document)
    except (ValueError, OverflowError) as error:
        raise SemlinkError(f"{path} is no result, or a damaged one: {safe(error, 200)}") from None
    if not result.sound:
        raise SemlinkError(f"{path} is not what was sealed: measure it again by `{safe(result.command)}`")
    return result


def _seal(result: Result) -> str:
    document = asdict(result)
    del document["seal"]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SemlinkError(f"a result has a number that is {value}, which no JSON holds")
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
