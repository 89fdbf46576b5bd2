"""What the two ends of a real link are given, so that they do what is otherwise measured without one.

Knows nothing about sockets or processes. A pair's ends have its networks; a codec's have its `encode` and `decode`,
and what they agree on is made of it: the receiver refuses a transmitter whose codec has learnt something else.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.channel.spec.spec import ChannelSpec
from common.pair.agreement import Agreement
from common.pair.manifest import Manifest, canonical
from common.phy.layout import Layout
from scrx.decoding.brought import Answer
from sctx.chain import Encode
from sctx.rate.policy import RatePolicy
from sctx.settings import CLASSIFY, Settings
from training.lab.evaluation import Setting, spec_of, words_of
from training.systems.codec import Codec


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends and the channel between them.

    told_db: the average SNR, Es/N0 in dB, that the transmitter is told in place of reports, NaN: none; None: it
    believes the reports. words: symbols of the word that go with it, None: all. encode, decode: None: the networks of
    the pair that `agreement` is. most: payload symbols that no image takes more of, whatever the policy would like;
    None: the full ladder.
    """

    agreement: Agreement
    channel: ChannelSpec
    settings: Settings
    told_db: float | None
    words: int | None = None
    encode: Encode | None = None
    decode: Answer | None = None
    most: int | None = None


def pair_ends(manifest: Manifest, setting: Setting, stream: int) -> Ends:
    """Of a pair, with its own pilots, at the setting's rate, and told what the setting says."""
    policy = RatePolicy("fixed", setting.symbols)
    return Ends(manifest, spec_of(setting, manifest.layout), steady(stream, policy), setting.told_db,
                words_of(manifest, setting))  # fmt: skip


def codec_ends(
    name: str, codec: Codec, layout: Layout, pair: Agreement, channel: ChannelSpec, stream: int, told_db: float
) -> Ends:
    """Of a codec for the images and classes of a pair. layout: one increment, the codec's symbols."""
    policy = RatePolicy("fixed", codec.symbols)
    agreement = Agreement(name, _id(name, codec, layout, pair), layout, pair.preprocess, pair.labels, (CLASSIFY,), None)
    encode, decode = codec.encode_told, answering(codec, pair.labels, told_db)
    return Ends(agreement, channel, steady(stream, policy), told_db, None, encode, decode)


def answering(codec: Codec, labels: Sequence[str], told_db: float) -> Answer:
    """A codec's decoder as a receiver calls it, whose transmitter is told so much, whatever is reported."""

    def answer(
        symbols: NDArray[np.complex64], gamma: NDArray[np.float32], tasks: Sequence[Sequence[str]]
    ) -> list[dict[str, Any]]:
        found = codec.decode_told(symbols, gamma, told_db)
        return [{CLASSIFY: {"index": int(one), "name": labels[int(one)], "confidence": 1.0}} for one in found]

    return answer


def steady(stream: int, policy: RatePolicy) -> Settings:
    """One frame in flight, so that which reports a frame sees does not depend on timing."""
    return Settings(policy=policy, window=1, stream=stream, give_up_s=20.0, device="cpu", backend="torch")


def _id(name: str, codec: Codec, layout: Layout, pair: Agreement) -> str:
    """SHA-256 of all that both ends of a codec must hold alike, nothing of which depends on the machine."""
    learnt = {key: _fingerprint(value) for key, value in codec.weights().items()}
    image = pair.preprocess
    document = {
        "codec": name, "increments": list(layout.increments), "pilots": layout.pilots, "slot": layout.slot,
        "image": [image.height, image.width, image.channels], "labels": list(pair.labels), "weights": learnt,
    }  # fmt: skip
    return hashlib.sha256(canonical(document)).hexdigest()


def _fingerprint(array: NDArray[Any]) -> list[Any]:
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return [little.dtype.str, list(array.shape), hashlib.sha256(little.tobytes()).hexdigest()]
