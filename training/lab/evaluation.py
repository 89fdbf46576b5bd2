"""A pair's decisions through the emulator's own channel, without the wire: settings -> points of accuracy.

Knows nothing about training, tables or figures. What the settings mean is said in `training/evaluate.py`.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from common.errors import ConfigError
from common.flags import numbers
from common.pair.manifest import Manifest
from training.data.images import load_told
from training.report.points import Point
from training.report.stats import bootstrap

if TYPE_CHECKING:
    import torch

    from scrx.decoding.decoder import Decoder
    from sctx.pipeline import TransmitChain


CHANNELS = {"awgn": "none", "block-rayleigh": "block-rayleigh", "rayleigh": "rayleigh"}

CSI = ("known", "perfect", "estimated", "none")

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

    def __post_init__(self) -> None:
        if (self.channel == "awgn") == (self.csi == "perfect") and self.csi not in ("estimated", "none"):
            raise ConfigError(f"csi {self.csi} does not go with {self.channel}: awgn has known, fading perfect")


def evaluate(
    manifest: Manifest, settings: list[Setting], dataset: str, split: str, device: str, skip_bad: bool = False
) -> list[Point]:
    """Measure each setting on every image of a split."""
    from common.pair.device import pick_device
    from scrx.decoding.decoder import load_decoder
    from sctx.pipeline import TransmitChain
    from training.report.progress import bar

    images = load_told(manifest, dataset, split, skip_bad)
    where = pick_device(device)
    chain, decoder = TransmitChain(manifest, where), load_decoder(manifest, where)
    features = encode_all(chain, images.images)
    points = []
    first: dict[Setting, NDArray[np.float64]] = {}
    with bar(Console(stderr=True), "evaluate", len(settings)) as advance:
        for setting in settings:
            right = np.zeros(len(images))
            for stream in range(setting.stream, setting.stream + setting.seeds):
                answers = decide(chain, decoder, features, setting, stream)
                right += answers == images.labels
            right /= setting.seeds
            other = first.setdefault(replace(setting, told="", told_db=0.0), right)
            points.append(_point(manifest, setting, right, None if other is right else other))
            advance()
    return points


def decide(
    chain: "TransmitChain", decoder: "Decoder", features: "torch.Tensor", setting: Setting, stream: int
) -> NDArray[np.int64]:
    """Class decisions, int64 [N], of features sent as frames 0..N-1 of a stream on the air clock."""
    logits, _ = answer(chain, decoder, features, setting, stream)
    return logits.argmax(-1)


def answer(
    chain: "TransmitChain", decoder: "Decoder", features: "torch.Tensor", setting: Setting, stream: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits, float [N, C], and gamma, float [N, S], of features sent as frames 0..N-1 of a stream on the air clock."""
    import torch

    layout = chain.manifest.layout
    rate = layout.rates.index(setting.symbols)
    span = layout.span(0, rate)
    sent = chain.modulate(features, setting.told_db)
    equalised = np.zeros_like(sent)
    gamma = np.zeros(sent.shape, np.float32)
    equalised[:, span], gamma[:, span] = _through(chain, sent, rate, setting, stream)
    with torch.inference_mode():
        _, logits = decoder(torch.from_numpy(equalised).to(chain.device), torch.from_numpy(gamma).to(chain.device))
    return logits["classify"].cpu().numpy(), gamma


def _through(
    chain: "TransmitChain", sent: NDArray[np.complex64], rate: int, setting: Setting, stream: int
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Channel, estimator and equaliser, frame by frame: x^ complex64 [N, n] and gamma float32 [N, n]."""
    from common.channel.spec.spec import ChannelSpec
    from common.channel.streams.channel import Channel
    from common.phy.layout import pilot_sequence
    from scrx.demodulation.equalise import effective_snr, equalise, non_coherent
    from scrx.demodulation.tracker import ChannelTracker

    layout = chain.manifest.layout
    pilots = pilot_sequence(layout.pilots)
    channel = Channel(ChannelSpec(snr_db=setting.snr_db, fading=CHANNELS[setting.channel], doppler=setting.doppler,
                                  coherence=layout.slot, seed=setting.seed))  # fmt: skip
    tracker = ChannelTracker(pilots, layout.slot)
    n0 = max(10 ** (-setting.snr_db / 10), QUIET_N0)
    equalised, gammas = [], []
    for seq, symbols in enumerate(sent):
        at = layout.air_start(seq, 0)
        if setting.csi == "none":
            y, gammas_seen = non_coherent(channel.transform(stream, at, chain.frame(symbols, 0, rate)))
            equalised.append(y)
            gammas.append(gammas_seen)
            continue
        if setting.csi == "estimated":
            y = channel.transform(stream, at, chain.frame(symbols, 0, rate))
            seen = tracker.observe(y[: layout.pilots], at)
            y, gain, noise = y[layout.pilots :], np.complex64(seen.gain), np.float32(seen.noise)
            gamma = effective_snr(gain, noise, layout.pilots)
        else:
            y, truth = channel.apply(stream, at, symbols[layout.span(0, rate)])
            gain, noise = np.complex64(truth.h), np.float32(n0)
            gamma = abs(gain) ** 2 / noise
        equalised.append(equalise(y, gain, noise))
        gammas.append(np.full(len(y), gamma, np.float32))
    return np.stack(equalised), np.stack(gammas)


def encode_all(chain: "TransmitChain", images: NDArray[np.uint8]) -> "torch.Tensor":
    """Features of any number of images, float [N, 2 S], in batches that fit into memory."""
    import torch

    return torch.cat([chain.encode(part) for part in np.array_split(images, -(-len(images) // 512))])


def _point(
    manifest: Manifest, setting: Setting, right: NDArray[np.float64], other: NDArray[np.float64] | None
) -> Point:
    """right, other: each image's share of right decisions, float64 [N], here and where the first --told was said."""
    _, low, high = bootstrap(right)
    uses = setting.symbols + (manifest.layout.pilots if setting.csi == "estimated" else 0)
    return Point(manifest.name, setting.channel, setting.csi, uses, setting.snr_db, float(right.mean()),
                 (float(low), float(high)), setting.seeds, float(setting.symbols), setting.told,
                 None if other is None else bootstrap(right - other))  # fmt: skip


def plan(manifest: Manifest, options: dict[str, Any]) -> list[Setting]:
    """Every point that the options ask for; ConfigError names the option that is wrong."""
    rates = manifest.layout.rates
    symbols = numbers("symbols", options["symbols"], int) if options["symbols"] else list(rates)
    if bad := [n for n in symbols if n not in rates]:
        raise ConfigError(f"--symbols {bad[0]} is not a rate of this pair: {', '.join(map(str, rates))}")
    snrs = numbers("snr", options["snr"], float)
    if any(math.isnan(snr) or snr == -math.inf for snr in snrs):
        raise ConfigError("--snr takes numbers of dB, or inf")
    if options["seeds"] < 1:
        raise ConfigError(f"--seeds must be at least 1, not {options['seeds']}")
    blind = not manifest.layout.pilots
    if blind and (options["csi"] or "none") != "none":
        raise ConfigError(f"--csi {options['csi']}: this pair sends no pilots, so csi is none")
    settings = []
    for channel in options["channel"].split(","):
        if channel not in CHANNELS:
            raise ConfigError(f"--channel {channel} is not one of {', '.join(CHANNELS)}")
        for csi in (options["csi"] or _default_csi(channel, blind)).split(","):
            if csi not in CSI or (csi == "none" and not blind):
                raise ConfigError(f"--csi {csi}: choose of {', '.join(CSI[:3])}; none is for pairs without pilots")
            told = options["told"].split(",")
            settings += [_setting(options, channel, csi, snr, n, one) for n in symbols for one in told for snr in snrs]
    return settings


def _default_csi(channel: str, blind: bool) -> str:
    return "none" if blind else "known" if channel == "awgn" else "estimated"


def _setting(options: dict[str, Any], channel: str, csi: str, snr_db: float, symbols: int, told: str) -> Setting:
    told_db = math.nan if csi == "none" else _told(told, snr_db)
    seeds, seed, stream, doppler = (options[name] for name in ("seeds", "seed", "stream", "doppler"))
    return Setting(channel, csi, snr_db, symbols, seeds, seed, stream, doppler, told_db, told)


def _told(text: str, snr_db: float) -> float:
    """The --told option as dB, NaN = no report."""
    if text == "none" or (text == "average" and snr_db == math.inf):
        return math.nan
    if text == "average":
        return snr_db
    error = text.removeprefix("average")
    away = float(numbers("told", error, float)[0])
    return away if error == text else snr_db + away
