"""A channel is the same in every release: one hop gives the values that it gave when they were written down."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())


@pytest.mark.parametrize("name", GOLDEN["channels"])
def test_one_hop_has_its_old_values(name: str) -> None:
    found, given = GOLDEN["channels"][name], GOLDEN["channels"][name]["spec"]
    channel = Channel(ChannelSpec(**{key: float("inf") if value == "inf" else value for key, value in given.items()}))
    for (stream, round_, at, count), expected in zip(GOLDEN["places"], found["last"], strict=True):
        x = np.exp(0.7j * np.arange(count)).astype(np.complex64)
        y = channel.transform(stream, at, x, round_)
        np.testing.assert_allclose([y[-1].real, y[-1].imag], expected, atol=2e-5)


def test_a_history_has_its_old_values() -> None:
    channel = Channel(ChannelSpec(snr_db=8.0, fading="rician", doppler=1e-3, shadowing_db=3.0, phase_noise=1e-6))
    x, last = np.ones(20_000, np.complex64), []
    for number, change in enumerate([{"snr_db": 3.0}, {"doppler": 2e-3}, {"snr_db": 20.0}, {"k_factor_db": 0.0}]):
        last.append(channel.transform(0, 20_000 * number, x)[-1])
        channel.change(change)
    last += [channel.transform(0, 80_000, x)[-1], channel.transform(0, 35_000, x[:9000])[-1]]
    np.testing.assert_allclose([[y.real, y.imag] for y in last], GOLDEN["history"], atol=5e-5)
