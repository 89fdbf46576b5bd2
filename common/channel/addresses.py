"""Addresses of one process that must not be the same place, however they are written. Knows nothing about messages."""

import ipaddress
import os
import socket
from dataclasses import dataclass
from itertools import permutations

from common.errors import ConfigError

_ANY = ("*", "0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True)
class Place:
    """An address in full (`tcp://HOST:PORT`, `ipc://FILE`), who gave it, and whether we listen there."""

    flag: str
    address: str
    bound: bool


def check_places(places: list[Place]) -> None:
    """Raise ConfigError where one of them is another one that this process listens at."""
    for ours, other in permutations([place for place in places if ":" in place.address], 2):
        if ours.bound and _covers(ours.address, other.address):
            if other.bound:
                raise ConfigError(f"{other.flag} {other.address}: this is the address of {ours.flag}; choose another")
            raise ConfigError(
                f"{other.flag} {other.address}: this emulator itself listens there ({ours.flag} {ours.address}); "
                "give the address of the receiver"
            )


def _covers(bound: str, other: str) -> bool:
    """True where what goes to `other` arrives at a socket that is bound to `bound`."""
    if bound.startswith("ipc://") or other.startswith("ipc://"):
        paths = [os.path.realpath(address.removeprefix("ipc://")) for address in (bound, other)]
        return bound[:6] == other[:6] and paths[0] == paths[1]
    (host, port), (other_host, other_port) = _split(bound), _split(other)
    if port != other_port or port == "0":
        return False
    if host in _ANY:
        return other_host in _ANY or any(map(_is_own, _numbers(other_host)))
    if other_host in _ANY:  # connecting there is connecting to loopback
        return any(number.is_loopback for number in _numbers(host))
    return not _numbers(host).isdisjoint(_numbers(other_host))


def _split(address: str) -> tuple[str, str]:
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.rpartition(";")[2].strip("[]"), port.lstrip("0") or "0"


def _numbers(host: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):  # not known here, or no name of a host at all: connecting will tell
        return set()
    numbers = {ipaddress.ip_address(number) for number in found}
    return {getattr(number, "ipv4_mapped", None) or number for number in numbers}


def _is_own(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """True for an address of this host: only there a socket can be bound."""
    family = socket.AF_INET if number.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(number), 0))
    except OSError:
        return False
    return True
