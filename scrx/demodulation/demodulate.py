"""Received frames -> soft symbols for a decoder, and what their channels looked like. numpy only.

Knows nothing about sockets, sessions, deadlines or networks.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from common.phy.layout import Layout, pilot_sequence
from common.phy.words import WORD, places
from common.record import record
from scrx.demodulation.equalise import non_coherent, one_tap
from scrx.demodulation.tracker import ChannelEstimate, ChannelTracker

KEPT_IMAGES = 512
"""Images per sender whose symbols wait for a further round: more than the session table keeps open."""

Soft = tuple[NDArray[np.complex64], NDArray[np.float32], NDArray[np.int16]]
"""Equalised symbols, complex64 [S], their linear SNR, float32 [S], both 0 where nothing was received, and what each
is, int16 [S] (`common.phy.words.places`)."""


@record
class Known:
    """A channel that nobody has to estimate: its gain h, and N0 per complex symbol."""

    gain: complex
    noise: float


@record
class Received:
    """A frame off the air. symbols: complex64 [P + n]; it carries increments start..rate; `sender` keys its channel.

    start > 0: a later round of image `seq`, whose earlier rounds were received before. more: a further one may follow.
    words: how many symbols of the ladder are the word's; None: all. known: its channel, for experiments; such a frame
    has no pilots, complex64 [n].
    """

    sender: Hashable
    seq: int
    symbols: NDArray[np.complex64]
    air_start: int
    start: int
    rate: int
    tasks: tuple[str, ...]
    more: bool = True
    words: int | None = None
    known: Known | None = None


@record
class SoftBatch:
    """What a decoder is given: equalised symbols, complex64 [B, S], their linear SNR, float32 [B, S], what each of them
    is, int16 [B, S] (`common.phy.words.places`), tasks per row.

    pilots: how many each row's channels were estimated from, float32 [B], infinity: they are known, as all where None.
    """

    symbols: NDArray[np.complex64]
    gamma: NDArray[np.float32]
    place: NDArray[np.int16]
    tasks: Sequence[Sequence[str]]
    pilots: NDArray[np.float32] | None = None

    @property
    def behind(self) -> NDArray[np.float32]:
        """`pilots`, float32 [B], whether they are given or not."""
        return np.full(len(self.symbols), np.inf, np.float32) if self.pilots is None else self.pilots


class Demodulator:
    """Estimator and equaliser, with one channel tracker per sender. For one thread."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        rates = range(len(layout.increments))
        self._spans = {(start, rate): layout.span(start, rate) for rate in rates for start in range(rate + 1)}
        self._trackers: dict[Hashable, ChannelTracker] = {}
        self._earlier: dict[Hashable, OrderedDict[int, Soft]] = {}

    def forget(self, sender: Hashable) -> None:
        """Drop what is known about a sender's channel."""
        self._trackers.pop(sender, None)
        self._earlier.pop(sender, None)

    def demodulate(self, frames: Sequence[Received]) -> tuple[SoftBatch, list[ChannelEstimate | None]]:
        """Estimate and equalise each frame, in order."""
        shape = len(frames), self._layout.max_symbols
        symbols, gamma = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
        place, pilots = np.empty(shape, np.int16), np.empty(len(frames), np.float32)
        place.fill(WORD)
        estimates = []
        for row, frame in enumerate(frames):
            estimate = self._estimate(frame)
            estimates.append(estimate)
            pilots[row] = math.inf if estimate is None else self._layout.pilots
            self._combine(frame, estimate, symbols[row], gamma[row], place[row])
        return SoftBatch(symbols, gamma, place, [frame.tasks for frame in frames], pilots), estimates

    def _estimate(self, frame: Received) -> ChannelEstimate | None:
        if not self._layout.pilots or frame.known is not None:
            return None
        heard, _ = self._layout.split(frame.symbols)
        return self._tracker(frame.sender).observe(heard, frame.air_start)

    def _tracker(self, sender: Hashable) -> ChannelTracker:
        if sender not in self._trackers:
            self._trackers[sender] = ChannelTracker(pilot_sequence(self._layout.pilots), self._layout.slot)
        return self._trackers[sender]

    def _combine(
        self,
        frame: Received,
        estimate: ChannelEstimate | None,
        symbols: NDArray[np.complex64],
        gamma: NDArray[np.float32],
        place: NDArray[np.int16],
    ) -> None:
        """Put this round's equalised symbols beside those of the rounds before, each with the SNR it came with.

        symbols: complex64 [S], gamma: float32 [S]; all 0 before. place: int16 [S].
        """
        kept = self._earlier.get(frame.sender)
        if kept is None:
            kept = self._earlier[frame.sender] = OrderedDict()
        earlier = kept.pop(frame.seq, None)
        if earlier is not None and frame.start:  # rounds that were forgotten count as not received
            symbols[:], gamma[:], place[:] = earlier
        span = self._spans[frame.start, frame.rate]
        if frame.words is not None:
            place[span] = places(self._layout.max_symbols, frame.words)[span]
        if estimate is not None:
            _, payload = self._layout.split(frame.symbols)
            tap, gamma[span] = one_tap(estimate.gain, estimate.noise, self._layout.pilots)
            np.multiply(payload, np.complex64(tap), out=symbols[span])
        elif frame.known is not None:
            tap, gamma[span] = one_tap(frame.known.gain, frame.known.noise, math.inf)
            np.multiply(frame.symbols, np.complex64(tap), out=symbols[span])
        else:
            symbols[span], gamma[span] = non_coherent(frame.symbols)
        if frame.more or frame.start:  # a last round may be sent again
            kept[frame.seq] = symbols.copy(), gamma.copy(), place.copy()
            while len(kept) > KEPT_IMAGES:
                kept.popitem(last=False)
