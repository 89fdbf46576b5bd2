"""Records: what a frame becomes on its way, made once and never changed. Knows nothing about frames.

A record is a slotted dataclass that the type checker holds to be frozen. While the program runs nobody checks: a frozen
dataclass of fifteen fields takes four times as long to make, and a frame becomes about fifteen of them.
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

Made = TypeVar("Made")


@dataclass_transform(frozen_default=True)
def record(cls: type[Made]) -> type[Made]:
    """Make `cls` a record. Equal fields make equal records, and may be keys where each of them may."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
