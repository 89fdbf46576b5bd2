"""Rounds of one image are decoded together; what is missing counts as not received."""

from dataclasses import replace

import numpy as np
import pytest

from common.pair.manifest import find_pair
from common.phy.layout import pilot_sequence
from scrx.demodulation.demodulate import Demodulator, Known, Received
from scrx.pipeline import ReceiveChain

PAIR = find_pair("digits")
LAYOUT = PAIR.layout


def frame(seq: int, start: int, rate: int) -> Received:
    """Increments start..rate of one and the same full payload, without noise."""
    payload = np.exp(1j * np.arange(LAYOUT.max_symbols)).astype(np.complex64)
    symbols = np.concatenate((pilot_sequence(LAYOUT.pilots), payload[LAYOUT.span(start, rate)]))
    return Received(b"sender", seq, symbols, 0, start, rate, ("classify", "embedding"))


def embedding(chain: ReceiveChain, *frames: Received) -> list[float]:
    """Of the last frame."""
    vectors = [chain.receive([each])[0].outputs["embedding"]["vector"] for each in frames]
    return list(vectors[-1])


def test_two_rounds_say_what_one_frame_with_both_says() -> None:
    whole = embedding(ReceiveChain(PAIR), frame(0, 0, 2))
    parts = embedding(ReceiveChain(PAIR), frame(0, 0, 1), frame(0, 2, 2))
    np.testing.assert_allclose(parts, whole, atol=1e-3)


def test_rounds_that_were_forgotten_count_as_not_received() -> None:
    chain = ReceiveChain(PAIR)
    lone = embedding(ReceiveChain(PAIR), frame(0, 2, 2))
    chain.receive([frame(0, 0, 1)])
    chain.demodulator.forget(b"sender")
    np.testing.assert_allclose(embedding(chain, frame(0, 2, 2)), lone, atol=1e-3)


def test_rounds_of_another_image_are_not_mixed_in() -> None:
    chain = ReceiveChain(PAIR)
    chain.receive([frame(1, 0, 1)])
    np.testing.assert_allclose(
        embedding(chain, frame(0, 2, 2)), embedding(ReceiveChain(PAIR), frame(0, 2, 2)), atol=1e-3
    )


def test_of_a_frame_that_no_round_follows_nothing_is_kept() -> None:
    chain = ReceiveChain(PAIR)
    alone = embedding(ReceiveChain(PAIR), frame(0, 0, 1))
    assert embedding(chain, replace(frame(0, 0, 1), more=False)) == alone
    assert embedding(chain, frame(0, 2, 2)) == embedding(ReceiveChain(PAIR), frame(0, 2, 2))


def test_a_last_round_that_is_sent_again_is_still_decoded_with_those_before() -> None:
    chain = ReceiveChain(PAIR)
    last = replace(frame(0, 2, 2), more=False)
    once = embedding(chain, frame(0, 0, 1), last)
    assert embedding(chain, last) == once


@pytest.mark.parametrize("n0", [1e-9, 0.1, 3.0])
@pytest.mark.parametrize("gain", [1.0 + 0j, 0.3 - 0.4j, 0j])
def test_a_channel_that_is_known_is_not_estimated(gain: complex, n0: float) -> None:
    """x^ = h* y / (|h|^2 + N0) and gamma = |h|^2 / N0, without pilots; frames beside it are estimated as ever."""
    demodulator, alone = Demodulator(LAYOUT), Demodulator(LAYOUT)
    seen, y = frame(0, 0, 1), np.exp(1j * np.arange(LAYOUT.rates[1])).astype(np.complex64)
    known = replace(seen, seq=1, symbols=y, known=Known(gain, n0))
    soft, estimates = demodulator.demodulate([seen, known, replace(seen, seq=2)])
    span = LAYOUT.span(0, 1)
    np.testing.assert_allclose(soft.symbols[1, span], y * np.conj(gain) / (abs(gain) ** 2 + n0), rtol=1e-6)
    np.testing.assert_allclose(soft.gamma[1, span], abs(gain) ** 2 / n0, rtol=1e-6)
    assert not soft.gamma[1, LAYOUT.rates[1] :].any()
    expected, both = alone.demodulate([seen, replace(seen, seq=2)])
    assert estimates == [both[0], None, both[1]]
    assert np.array_equal(soft.symbols[[0, 2]], expected.symbols)
