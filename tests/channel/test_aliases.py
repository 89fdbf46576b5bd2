"""What a receiver is shown of an emulator's connections is one to one, and tells nothing of the next one."""

import numpy as np

from common.channel.wire.aliases import Aliases


def named(number: int) -> bytes:
    return b"\0" + number.to_bytes(4, "big")


def test_each_identity_has_an_alias_of_its_own_and_comes_back_from_it() -> None:
    aliases = Aliases()
    numbers = [0, 1, 0x7FFFFFFF, 0xFFFFFFFF, *range(0x6B8B4567, 0x6B8B4567 + 3000)]
    shown = [aliases.outward(named(number)) for number in numbers]
    assert len(set(shown)) == len(numbers)
    assert [aliases.inward(one) for one in shown] == [named(number) for number in numbers]


def test_who_named_itself_keeps_its_name() -> None:
    aliases = Aliases()
    for name in (b"", b"tx", b"\x01abcd", b"\x00abc", b"\x00abcde", bytes(255)):
        assert aliases.outward(name) == aliases.inward(name) == name


def test_neighbours_and_keys_have_nothing_in_common() -> None:
    """Neighbours differ in as many bits as two random words do, 16 of 32, and so does one number under two keys."""
    aliases, other = Aliases(bytes(16)), Aliases(bytes([1]) + bytes(15))
    numbers = range(0x6B8B4567, 0x6B8B4567 + 2000)
    words = np.array([list(aliases.outward(named(number))[1:]) for number in numbers], np.uint8)
    others = np.array([list(other.outward(named(number))[1:]) for number in numbers], np.uint8)
    for difference in (words[1:] ^ words[:-1], words ^ others):
        bits = np.unpackbits(difference, axis=1)
        assert abs(bits.sum(1).mean() - 16) < 5 * np.sqrt(8 / len(bits))
        assert np.abs(bits.mean(0) - 0.5).max() < 5 * np.sqrt(0.25 / len(bits))
