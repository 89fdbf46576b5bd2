"""A codec over the emulator's own channel, through the receiver's own estimator and equaliser. No network, no wire."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.phy.decibel import from_db
from common.phy.layout import Layout
from scrx.demodulation.demodulate import Demodulator, Known, Received, SoftBatch
from training.systems.codec import Codec
from training.systems.system import Place

SLOT = 128
"""Air samples from one frame to the next, as in the layouts of the shipped pairs."""
QUIET_N0 = 1e-9
"""N0 that the receiver assumes where there is no noise at all."""
FADING = {"awgn": "none", "block-rayleigh": "block-rayleigh"}
ENCODED = 512
"""Images that are encoded at a time, so that they fit into memory."""


@dataclass(frozen=True, slots=True)
class Way:
    """A codec, and the pilots that it is sent with where the channel is estimated (0: non-coherent)."""

    codec: Codec
    pilots: int = 0


def send(way: Way, images: NDArray[np.uint8], told_db: float = math.nan) -> NDArray[np.complex64]:
    """What a codec sends for each image: uint8 [N, H, W, C] -> complex64 [N, S]."""
    parts = np.array_split(images, max(-(-len(images) // ENCODED), 1))
    return np.concatenate([way.codec.encode_told(part, told_db) for part in parts]).astype(np.complex64)


def layout_of(way: Way, place: Place) -> Layout:
    """How a codec's frame lies on the air: one increment, and pilots where the channel is estimated."""
    pilots = way.pilots if place.csi == "estimated" else 0
    return Layout((way.codec.symbols,), pilots, max(SLOT, pilots + way.codec.symbols))


def spec_of(place: Place, layout: Layout, seed: int) -> ChannelSpec:
    """The channel of a place: where it fades by blocks, each frame has its own h."""
    return ChannelSpec(snr_db=place.snr_db, fading=FADING[place.channel], coherence=layout.slot, seed=seed)


def hear(way: Way, symbols: NDArray[np.complex64], place: Place, stream: int, seed: int) -> SoftBatch:
    """symbols, complex64 [N, S], as frames 0..N-1 of a stream on the air clock -> what a decoder is given."""
    layout = layout_of(way, place)
    channel = Channel(spec_of(place, layout, seed))
    n0 = max(from_db(-place.snr_db), QUIET_N0)
    received = []
    for seq, row in enumerate(symbols):
        at, known = layout.air_start(seq, 0), None
        if place.csi == "estimated":
            y = channel.transform(stream, at, layout.frame(row, 0, 0))
        else:
            y, truth = channel.apply(stream, at, row)
            known = Known(complex(truth.h), n0)
        received.append(Received("codec", seq, y, at, 0, 0, (), more=False, known=known))
    return Demodulator(layout).demodulate(received)[0]


def carry(
    way: Way, images: NDArray[np.uint8], place: Place, stream: int, seed: int = 0, told_db: float | None = None
) -> NDArray[np.int64]:
    """The answers of a codec to images sent over the channel of a place: int64 [N].

    told_db: what the transmitter is told; None: the average SNR of the place.
    """
    told = place.snr_db if told_db is None else told_db
    soft = hear(way, send(way, images, told), place, stream, seed)
    return np.asarray(way.codec.decode_told(soft.symbols, soft.gamma, told)).astype(np.int64)
