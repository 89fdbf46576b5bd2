"""What a distillation is asked for beside its recipe. Knows nothing about how it is carried out."""

from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigError
from common.pair.manifest import SHIPPED

BUILD = Path("build")
"""Where everything goes for which no place is named."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for, beside the recipe."""

    dataset: str
    teacher: str | None
    store: Path | None
    out: Path | None
    """None: a place of its own under build/pairs."""
    run: Path | None
    device: str
    seed: int
    online: bool
    by_position: bool = False
    """A teacher's columns are the data's classes in order, whatever it calls them."""
    skip_bad: bool = False
    encoding: str | None = None
    """As it was asked for in so many words; None: a store that is there may have any."""
    keep: bool = False
    """What lies in `out` and was made of the same data, but with another seed, say, is not replaced."""

    def __post_init__(self) -> None:
        if self.out is not None and self.out.resolve().is_relative_to(SHIPPED.resolve()):
            raise ConfigError(f"--out {self.out} is inside the shipped pairs; train elsewhere and copy what is better")
