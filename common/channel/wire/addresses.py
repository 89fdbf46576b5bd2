"""Where an emulator listens and forwards to: never at one place twice. Knows nothing about messages."""

from dataclasses import dataclass
from itertools import permutations

from common.errors import ConfigError
from common.transport.endpoints import is_own


@dataclass(frozen=True, slots=True)
class Place:
    """An address in full (`tcp://HOST:PORT`, `ipc://FILE`), who gave it, and whether we listen there."""

    flag: str
    address: str
    bound: bool


def check_places(places: list[Place]) -> None:
    """Raise ConfigError where one of them is another one that this process listens at."""
    for ours, other in permutations([place for place in places if ":" in place.address], 2):
        if ours.bound and is_own(ours.address, other.address):
            if other.bound:
                raise ConfigError(f"{other.flag} {other.address}: this is the address of {ours.flag}; choose another")
            raise ConfigError(
                f"{other.flag} {other.address}: this emulator itself listens there ({ours.flag} {ours.address}); "
                "give the address of the receiver"
            )
