"""Prints, as JSON, million samples per CPU-second of each channel model as a function call. Run by bench_channel.py.

Knows nothing about sockets; see `gnuradio_blocks.py` for the same models as GNU Radio blocks.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel

SIZES = (1024, 4096, 65_536)


def models(folder: str) -> dict[str, ChannelSpec]:
    """Name -> channel; the delay profiles of the comparison are written to `folder`."""
    whole, fraction = f"{folder}/whole.csv", f"{folder}/fraction.csv"
    with open(whole, "w") as file:
        file.writelines(f"{i * 100},{-i}\n" for i in range(12))
    with open(fraction, "w") as file:
        file.writelines(f"{i * 137.3},{-i}\n" for i in range(12))
    return {
        "awgn": ChannelSpec(),
        "block-rayleigh": ChannelSpec(fading="block-rayleigh"),
        "rayleigh 1e-4": ChannelSpec(fading="rayleigh", doppler=1e-4),
        "rayleigh 1e-3": ChannelSpec(fading="rayleigh", doppler=1e-3),
        "rayleigh 1e-2": ChannelSpec(fading="rayleigh", doppler=1e-2),
        "rician 1e-3": ChannelSpec(fading="rician", doppler=1e-3),
        "nakagami 1e-3": ChannelSpec(fading="nakagami", nakagami_m=2.0, doppler=1e-3),
        "shadowing": ChannelSpec(shadowing_db=6.0),
        "phase noise": ChannelSpec(phase_noise=1e-6),
        "cfo": ChannelSpec(cfo=0.01),
        "amplifier": ChannelSpec(pa_backoff_db=3.0),
        "iq imbalance": ChannelSpec(iq_gain_db=0.5),
        "tdl 12 whole": ChannelSpec(fading=whole, rate=10e6, doppler=1e-4),
        "tdl 12 fraction": ChannelSpec(fading=fraction, rate=10e6, doppler=1e-4),
        "tdl 12 fraction 1e-3": ChannelSpec(fading=fraction, rate=10e6, doppler=1e-3),
        "eva 30.72 Ms/s": ChannelSpec(fading="eva", rate=30.72e6, doppler=1e-4),
        "tdl-a 100 ns": ChannelSpec(fading="tdl-a", rate=30.72e6, doppler=1e-4),
    }


def rate(work: Callable[[], object], samples: int, seconds: float) -> float:
    """Million samples per CPU-second of this process, all threads counted."""
    work()
    calls, begun, until = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        work()
        calls += 1
    return samples * calls / (time.process_time() - begun) / 1e6


def ours(spec: ChannelSpec, size: int, seconds: float) -> float:
    channel, x, at = Channel(spec), np.exp(1j * np.arange(size)).astype(np.complex64), [0]

    def work() -> None:
        channel.transform(0, at[0], x)
        at[0] += size

    return rate(work, size, seconds)


def kaira(size: int, seconds: float) -> dict[str, float]:
    """The two models that kaira has, where it can be imported."""
    try:
        import torch
        from kaira.channels import AWGNChannel, FlatFadingChannel
    except ImportError:  # not installed, or one of its own dependencies is not
        return {}

    torch.set_num_threads(1)
    x = torch.exp(1j * torch.arange(size)).to(torch.complex64)[None]
    awgn = AWGNChannel(snr_db=10.0)
    block = FlatFadingChannel("rayleigh", coherence_time=128, snr_db=10.0)
    return {"awgn": rate(lambda: awgn(x), size, seconds), "block-rayleigh": rate(lambda: block(x), size, seconds)}


if __name__ == "__main__":
    folder, seconds = sys.argv[1], float(sys.argv[2])
    print(json.dumps({
        "ours": {name: {size: ours(spec, size, seconds) for size in SIZES} for name, spec in models(folder).items()},
        "kaira": kaira(4096, seconds),
    }))  # fmt: skip
