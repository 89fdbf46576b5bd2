"""Which teacher gave an answer. Knows nothing about folders or networks."""

from dataclasses import dataclass

NOTE = "made.json"
"""What a teacher that was trained here was made of; beside its files."""


@dataclass(frozen=True, slots=True)
class TeacherId:
    """Which teacher, in enough detail to refuse another one."""

    name: str
    sha256: str
    preprocess: str
    dtype: str
