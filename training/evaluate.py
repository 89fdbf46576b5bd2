"""Accuracy of a pair against SNR through the emulator's own channel: `python -m training.evaluate`.

Knows nothing about training or sockets: images, channel and decisions of the running link, without the wire.

Channel state information (csi):
    known      awgn: h = 1 and N0 are known and no pilots are sent, as in the literature; n = payload symbols
    perfect    fading: h and N0 are known, no pilots; n = payload symbols
    estimated  the receiver's own tracker: pilots, least squares, pooled N0; n = payload symbols + pilots
    none       a pair without pilots: non-coherent reception, the transmitter is told nothing; n = payload symbols
Image i of the split is frame i of a stream on the air clock, as over the link. Intervals: bootstrap over images, of
each image's mean over the channels.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from common.cli import begin, invoke, shared_options
from common.errors import ConfigError
from common.files import FIGURES, OutFile
from common.images.datasets import held_out
from common.manifest import Manifest, find_pair, write_atomic
from common.origin import dataset_of
from training.data import load_told, skip_bad_option
from training.progress import print_table

if TYPE_CHECKING:
    import torch

    from scrx.decoder import Decoder
    from sctx.pipeline import TransmitChain

CHANNELS = {"awgn": "none", "block-rayleigh": "block-rayleigh", "rayleigh": "rayleigh"}
CSI = ("known", "perfect", "estimated", "none")
RESAMPLES = 2000
QUIET_N0 = 1e-9
"""N0 that the receiver assumes where there is no noise at all."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measured point. n: channel uses, pilots counted; accuracy and ci95: 0..1; seeds: channels per image."""

    system: str
    channel: str
    csi: str
    n: int
    snr_db: float
    accuracy: float
    ci95: tuple[float, float]
    seeds: int
    mean_symbols: float
    told: str = "average"
    difference: tuple[float, float, float] | None = None
    """Accuracy less that of the first --told, paired over images, and its interval."""


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


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", help="train, validation or test. [default: test, or validation where there is none]")
@click.option(
    "--channel", default="awgn", show_default=True, help="awgn, block-rayleigh, rayleigh; several with commas."
)
@click.option("--csi", help="known, perfect, estimated; several with commas. [default: known on awgn, else estimated]")
@click.option("--snr", default="-6,-3,0,3,6,10,15,20", show_default=True, help="Average Es/N0 in dB, with commas.")
@click.option("--symbols", help="Payload symbols per image, with commas. [default: every rate of the pair]")
@click.option(
    "--told",
    default="average",
    show_default=True,
    help="SNR told to the transmitter: average, average+DB, average-DB, none or dB; each less the first, with commas.",
)
@click.option("--seeds", default=4, show_default=True, help="Channels per image: streams STREAM, STREAM + 1, ...")
@click.option("--stream", default=0, show_default=True, help="The first stream.")
@click.option("--seed", default=0, show_default=True, help="Seed of the channel, as of channel-emu.")
@click.option("--doppler", default=7.8e-5, show_default=True, help="rayleigh: fd per symbol.")
@click.option("--json", "json_file", type=OutFile(), help="Write the points here.")
@click.option("--figure", type=OutFile(FIGURES), help="Draw them here (PNG, SVG or PDF).")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda ...")
@skip_bad_option
@shared_options
@click.pass_context
def main(context: click.Context, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    manifest = find_pair(options["pair"])
    settings = plan(manifest, options)
    dataset = options["dataset"] or dataset_of(manifest)
    split = options["split"] or held_out(dataset)
    points = evaluate(manifest, settings, dataset, split, options["device"], options["skip_bad"])
    show(points)
    if options["json_file"]:
        options["json_file"].parent.mkdir(parents=True, exist_ok=True)
        write_atomic(
            options["json_file"], json.dumps({"points": [asdict(p) for p in points]}, indent=1).encode() + b"\n"
        )
    if options["figure"]:
        draw_figure(points, options["figure"])


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


def evaluate(
    manifest: Manifest, settings: list[Setting], dataset: str, split: str, device: str, skip_bad: bool = False
) -> list[Point]:
    """Measure each setting on every image of a split."""
    from common.nn.device import pick_device
    from scrx.decoder import load_decoder
    from sctx.pipeline import TransmitChain
    from training.progress import bar

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
    from common.channel.channel import Channel
    from common.channel.spec import ChannelSpec
    from common.phy.layout import pilot_sequence
    from scrx.equalise import effective_snr, equalise, non_coherent
    from scrx.tracker import ChannelTracker

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


def bootstrap(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean of one value per image, float64 [N], and the ends of its 95 % interval over resampled images."""
    random = np.random.default_rng(0)
    parts = [values[random.integers(0, len(values), (RESAMPLES // 20, len(values)))].mean(1) for _ in range(20)]
    low, high = np.percentile(np.concatenate(parts), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def _point(
    manifest: Manifest, setting: Setting, right: NDArray[np.float64], other: NDArray[np.float64] | None
) -> Point:
    """right, other: each image's share of right decisions, float64 [N], here and where the first --told was said."""
    _, low, high = bootstrap(right)
    uses = setting.symbols + (manifest.layout.pilots if setting.csi == "estimated" else 0)
    return Point(manifest.name, setting.channel, setting.csi, uses, setting.snr_db, float(right.mean()),
                 (float(low), float(high)), setting.seeds, float(setting.symbols), setting.told,
                 None if other is None else bootstrap(right - other))  # fmt: skip


def show(points: list[Point]) -> None:
    """One row per channel, csi and rate; one column per SNR."""
    snrs = sorted({point.snr_db for point in points})
    rows = []
    for (channel, csi, symbols, n, told), row in _curves(points).items():
        ends = [p.difference[1:] if p.difference else p.ci95 for p in row]
        cells = [f"{100 * p.accuracy:.1f}{f' ({100 * p.difference[0]:+.2f})' if p.difference else ''}" for p in row]
        wide = max((high - low) / 2 for low, high in ends)
        rows.append((channel, csi, f"{symbols:g}", n, told, *cells, f"{100 * wide:.2f}"))
    title = "accuracy in % (less that of the first --told); +-: the widest half of a row's 95 % intervals"
    print_table(title, ("channel", "csi", "symbols", "n", "told", *(f"{snr:g} dB" for snr in snrs), "+-"), rows)


def draw_figure(points: list[Point], path: Path) -> None:
    """Accuracy against SNR, one curve per channel, csi and rate, intervals shaded."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for (channel, csi, symbols, _, told), row in _curves(points).items():
        x = [p.snr_db for p in row]
        (line,) = axes.plot(
            x, [100 * p.accuracy for p in row], ".-", label=f"{channel}, {csi} CSI, {symbols:g} symbols, told {told}"
        )
        axes.fill_between(x, *([100 * p.ci95[i] for p in row] for i in (0, 1)), alpha=0.15, color=line.get_color())
    axes.set(xlabel="average SNR, Es/N0 in dB", ylabel="accuracy in %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _curves(points: list[Point]) -> dict[tuple[str, str, float, int, str], list[Point]]:
    curves: dict[tuple[str, str, float, int, str], list[Point]] = {}
    for point in points:
        curves.setdefault((point.channel, point.csi, point.mean_symbols, point.n, point.told), []).append(point)
    return {key: sorted(row, key=lambda p: p.snr_db) for key, row in curves.items()}


def _told(text: str, snr_db: float) -> float:
    """The --told option as dB, NaN = no report."""
    if text == "none" or (text == "average" and snr_db == math.inf):
        return math.nan
    if text == "average":
        return snr_db
    error = text.removeprefix("average")
    away = float(numbers("told", error, float)[0])
    return away if error == text else snr_db + away


def numbers(option: str, text: str, kind: type) -> list[Any]:
    """The values of an option, with commas between them. Raises ConfigError."""
    try:
        return [kind(one) for one in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{option} '{text}': give numbers with commas between them") from None


if __name__ == "__main__":
    invoke(main, "TRAINING_EVALUATE")
