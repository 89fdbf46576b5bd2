"""A pair's decisions through the emulator's own channel, without the wire: settings -> points of accuracy.

Knows nothing about training, tables or figures. What the settings mean is said in `training/evaluate.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.errors import ConfigError
from common.flags import numbers
from common.pair.manifest import Manifest
from common.phy.decibel import from_db
from common.phy.layout import Layout
from scrx.demodulation.demodulate import Demodulator, Known, Received, SoftBatch
from sctx.rate.decision import words_told
from training.data.images import load_told
from training.report.points import Point
from training.report.stats import bootstrap

CHANNELS = {"awgn": "none", "block-rayleigh": "block-rayleigh", "rayleigh": "rayleigh"}

CSI = ("known", "perfect", "estimated")

ENCODED = 512
"""Images that are encoded at a time, so that they fit into memory."""

TOLD = "told"
"""What --words has where the word is as long as what was told asks for."""

QUIET_N0 = 1e-9
"""N0 that the receiver assumes where there is no noise at all."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a point is measured. symbols: payload per image, one of the pair's rates."""

    channel: str
    csi: str
    snr_db: float
    symbols: int
    seeds: int
    seed: int
    stream: int
    doppler: float
    told_db: float
    """SNR that the transmitter is told; NaN = no report."""
    told: str = "average"
    """The same in words."""
    features: float = 0.2
    """Points that the decision may lose to the features; 0: all symbols say the decision."""
    words: int | None = None
    """So many symbols are the word's, whatever it is told: a transmitter that never adapts."""

    def __post_init__(self) -> None:
        if (self.channel == "awgn") == (self.csi == "perfect") and self.csi != "estimated":
            raise ConfigError(f"csi {self.csi} does not go with {self.channel}: awgn has known, fading perfect")


def evaluate(
    manifest: Manifest, settings: list[Setting], dataset: str, split: str, device: str, skip_bad: bool = False
) -> list[Point]:
    """Measure each setting on every image of a split."""
    from training.report.progress import bar

    images = load_told(manifest, dataset, split, skip_bad)
    lab = Lab(manifest, images.images, device)
    points = []
    first: dict[Setting, NDArray[np.float64]] = {}
    energy = np.square(lab.features - lab.features.mean(0)).sum(1).mean()
    with bar(Console(stderr=True), "evaluate", len(settings)) as advance:
        for setting in settings:
            right, missed = np.zeros(len(images)), 0.0
            for stream in range(setting.stream, setting.stream + setting.seeds):
                classes, features = lab.answers(setting, stream)
                right += classes.argmax(-1) == images.labels
                missed += float(np.square(features - lab.features).sum(1).mean() / energy)
            right /= setting.seeds
            other = first.setdefault(replace(setting, told="", told_db=0.0, words=None), right)
            points.append(_point(manifest, setting, right, None if other is right else other, missed / setting.seeds))
            advance()
    return points


class Lab:
    """A pair, and images that it has encoded: what it answers over a channel is asked as often as one likes."""

    def __init__(self, manifest: Manifest, images: NDArray[np.uint8], device: str = "cpu") -> None:
        """images: uint8 [N, H, W, C] as the manifest says; device: as `--device` names it."""
        from scrx.decoding.answerer import Answerer
        from sctx.pipeline import TransmitChain

        self.layout = manifest.layout
        self.manifest, self._chain, self._answerer = manifest, TransmitChain(manifest, device), Answerer(manifest)
        parts = np.array_split(images, max(-(-len(images) // ENCODED), 1))
        self._encoded = np.concatenate([self._chain.encode(part) for part in parts])

    @property
    def features(self) -> NDArray[np.float32]:
        """Of each image, as its encoder gives them, float32 [N, F]."""
        return self._chain.features(self._encoded)

    def decide(self, setting: Setting, stream: int) -> NDArray[np.int64]:
        """Class decisions, int64 [N], of the images sent as frames 0..N-1 of a stream on the air clock."""
        decided: NDArray[np.int64] = self.answer(setting, stream)[0].argmax(-1)
        return decided

    def answer(self, setting: Setting, stream: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits, float32 [N, C], and gamma, float32 [N, S], of the images sent as frames 0..N-1 of a stream."""
        soft = self.hear(setting, stream)
        return self._answerer.logits(soft), soft.gamma

    def answers(self, setting: Setting, stream: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probability of each class, float32 [N, C], and features as received, float32 [N, F]."""
        return self._answerer.hear(self.hear(setting, stream))

    def embed(self, setting: Setting, stream: int) -> tuple[NDArray[np.float32], SoftBatch]:
        """Embeddings, float32 [N, E], of the images sent as frames 0..N-1 of a stream, and what they are made of."""
        soft = self.hear(setting, stream)
        return self._answerer.hear(soft)[1], soft

    def hear(self, setting: Setting, stream: int) -> SoftBatch:
        """What the decoder is given of the images sent as frames 0..N-1 of a stream."""
        return Demodulator(self.layout).demodulate(self._received(setting, stream))[0]

    def _received(self, setting: Setting, stream: int) -> list[Received]:
        """Each image's frame as it comes off the air: with pilots, or with a channel that is known."""
        layout, rate = self.layout, self.layout.rates.index(setting.symbols)
        channel = Channel(spec_of(setting, layout))
        n0 = max(from_db(-setting.snr_db), QUIET_N0)
        received, words = [], words_of(self.manifest, setting)
        for seq, symbols in enumerate(self._chain.modulate(self._encoded, setting.told_db, words)):
            at, known = layout.air_start(seq, 0), None
            if setting.csi == "estimated":
                y = channel.transform(stream, at, self._chain.frame(symbols, 0, rate))
            else:
                y, truth = channel.apply(stream, at, symbols[layout.span(0, rate)])
                known = Known(complex(truth.h), n0)
            received.append(Received("lab", seq, y, at, 0, rate, (), more=False, words=words, known=known))
        return received


def words_of(manifest: Manifest, setting: Setting) -> int | None:
    """How many symbols the word has at a setting; None: all."""
    return setting.words or words_told(manifest, setting.told_db, setting.features, setting.channel != "awgn")


def spec_of(setting: Setting, layout: Layout) -> ChannelSpec:
    """The channel of a setting; where it fades by blocks, each frame has its own h."""
    return ChannelSpec(snr_db=setting.snr_db, fading=CHANNELS[setting.channel], doppler=setting.doppler,
                       coherence=layout.slot, seed=setting.seed)  # fmt: skip


def _point(
    manifest: Manifest, setting: Setting, right: NDArray[np.float64], other: NDArray[np.float64] | None, missed: float
) -> Point:
    """right, other: each image's share of right decisions, float64 [N], here and at the first of the compared."""
    _, low, high = bootstrap(right)
    uses = setting.symbols + (manifest.layout.pilots if setting.csi == "estimated" else 0)
    return Point(manifest.name, setting.channel, setting.csi, uses, setting.snr_db, float(right.mean()),
                 (float(low), float(high)), setting.seeds, float(setting.symbols), setting.told,
                 None if other is None else bootstrap(right - other), _said(setting), missed)  # fmt: skip


def _said(setting: Setting) -> str:
    return TOLD if setting.words is None else str(setting.words)


def plan(manifest: Manifest, options: dict[str, Any]) -> list[Setting]:
    """Every point that the options ask for; ConfigError names the option that is wrong."""
    rates = manifest.layout.rates
    symbols = rates_asked(options["symbols"], rates, "pair") if options["symbols"] else list(rates)
    snrs = numbers("snr", options["snr"], float)
    if any(math.isnan(snr) or snr == -math.inf for snr in snrs):
        raise ConfigError("--snr takes numbers of dB, or inf")
    if options["seeds"] < 1:
        raise ConfigError(f"--seeds must be at least 1, not {options['seeds']}")
    words = [_words(one, max(rates)) for one in _once(options["words"])]
    settings = []
    for channel in _once(options["channel"]):
        if channel not in CHANNELS:
            raise ConfigError(f"--channel {channel} is not one of {', '.join(CHANNELS)}")
        for csi in _once(options["csi"] or _default_csi(channel)):
            if csi not in CSI:
                raise ConfigError(f"--csi {csi}: choose of {', '.join(CSI)}")
            settings += [
                replace(_setting(options, channel, csi, snr, n, told), words=count)
                for n in symbols for told in _once(options["told"]) for count in words for snr in snrs
            ]  # fmt: skip
    return settings


def rates_asked(text: str, rates: Sequence[int], whose: str) -> list[int]:
    """The payload symbols of --symbols, each once. ConfigError where they are none of the rates of a `whose`."""
    symbols = numbers("symbols", text, int)
    if bad := [n for n in symbols if n not in rates]:
        raise ConfigError(f"--symbols {bad[0]} is not a rate of this {whose}: {', '.join(map(str, rates))}")
    return symbols


def _once(text: str) -> list[str]:
    """Words with commas between them, each once."""
    return list(dict.fromkeys(text.split(",")))


def _words(text: str, most: int) -> int | None:
    if text == TOLD:
        return None
    count = int(numbers("words", text, int)[0])
    if not 1 <= count <= most:
        raise ConfigError(f"--words {count}: a word has 1 to {most} symbols, or `{TOLD}`")
    return count


def _default_csi(channel: str) -> str:
    return "known" if channel == "awgn" else "estimated"


def _setting(options: dict[str, Any], channel: str, csi: str, snr_db: float, symbols: int, told: str) -> Setting:
    seeds, seed, stream, doppler = (options[name] for name in ("seeds", "seed", "stream", "doppler"))
    return Setting(channel, csi, snr_db, symbols, seeds, seed, stream, doppler, _told(told, snr_db), told)


def _told(text: str, snr_db: float) -> float:
    """The --told option as dB, NaN = no report."""
    if text == "none":
        return math.nan
    if text == "average":
        return snr_db
    error = text.removeprefix("average")
    away = float(numbers("told", error, float)[0])
    return away if error == text else snr_db + away
