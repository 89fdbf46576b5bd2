"""The WordNet ids of a data set's classes, where a `classes.json` beside its pictures has them.

Names alone may be doubtful: ImageNet has two classes "crane". Knows nothing about pictures or teachers.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from common.images.names import composed
from common.images.photo import shown

FILE = "classes.json"
"""[{"wnid": "n03126707", "name": "crane"}, ...]; other keys are not looked at."""
MOST_BYTES = 16 << 20


def wordnet_ids(folder: Path, classes: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """One id for each class, or none at all; and lines for people where the file is there and is not used."""
    path = folder / FILE
    if not path.is_file():
        return (), ()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES >> 20} MiB")
        found = _read(json.loads(path.read_bytes()))
        lacking = [one for one in classes if one not in found]
        if lacking:
            raise ValueError(f"it has no class '{lacking[0]}'")
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return (), (f"{shown(path)} is not used: {why}",)
    return tuple(found[one] for one in classes), ()


def _read(document: object) -> dict[str, str]:
    """Id by name. ValueError where one of them is doubtful."""
    if not isinstance(document, list):
        raise ValueError('it is no list of {"wnid": ..., "name": ...}')
    found: dict[str, str] = {}
    for one in document:
        name, wnid = (one.get("name"), one.get("wnid")) if isinstance(one, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(wnid, str) or not re.fullmatch(r"n\d{8}", wnid, re.ASCII):
            raise ValueError('it is no list of {"wnid": ..., "name": ...} with WordNet ids such as n03126707')
        if found.setdefault(composed(name), wnid) != wnid:
            raise ValueError(f"it has several ids for '{composed(name)}'")
    return found
