"""Wrong channel parameters get one line that names the parameter and its range."""

import math

import numpy as np
import pytest

from common.channel.spec.spec import ChannelSpec
from common.errors import ConfigError


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"snr_db": math.nan}, "snr_db nan is outside -60 to 120 dB, or inf"),
        ({"snr_db": -math.inf}, "snr_db"),
        ({"doppler": -0.1}, "doppler -0.1 is outside 0 to 0.5"),
        ({"doppler": 0.6}, "doppler"),
        ({"k_factor_db": 100.0}, "k_factor_db"),
        ({"los_doppler": 2.0}, "los_doppler"),
        ({"coherence": 0}, "coherence"),
        ({"seed": -1}, "seed"),
        ({"nakagami_m": 0.1}, "nakagami_m 0.1 is outside 0.5 to 50"),
        ({"delay_spread": -1e-9}, "delay_spread -1e-09 is outside 0 to 1 seconds"),
        ({"fading": "tdl-a"}, "fading tdl-a has delays in seconds: give the rate"),
        ({"fading": "tdl-a", "rate": 1e6, "doppler": 0.01}, "doppler 0.01 is outside 0 to 0.0039"),
        ({"rate": -1.0}, "rate"),
        ({"cfo": 0.7}, "cfo"),
        ({"shadowing_db": -1.0}, "shadowing_db"),
        ({"phase_noise": -1.0}, "phase_noise"),
        ({"pa_backoff_db": math.nan}, "pa_backoff_db"),
        ({"iq_phase": 120.0}, "iq_phase"),
        ({"fading": "trace"}, "cir_trace"),
        ({"cir_trace": "h.npz"}, "cir_trace"),
        ({"fading": "rayleigth"}, "'rayleigth' is none of none, block-rayleigh, rayleigh"),
    ],
)
def test_wrong_parameters_are_named(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ChannelSpec(**wrong)


def test_noise_power_is_that_of_the_average_snr() -> None:
    assert ChannelSpec(snr_db=20.0).noise_power == pytest.approx(0.01)
    assert ChannelSpec(snr_db=math.inf).noise_power == 0.0


def test_a_description_names_what_differs_from_the_defaults() -> None:
    assert ChannelSpec().describe() == "SNR 10 dB, fading none"
    assert ChannelSpec(snr_db=math.inf, fading="rayleigh", seed=3).describe() == "no noise, fading rayleigh, seed 3"


def test_the_package_shows_what_people_make_a_channel_of() -> None:
    import common.channel

    assert set(common.channel.__all__) <= set(dir(common.channel))
    x = np.ones(100, np.complex64)
    channel = common.channel.Channel(common.channel.ChannelSpec(snr_db=5.0, fading="rayleigh", doppler=1e-3, seed=1))
    y, truth = channel.apply(stream=0, air_start=0, x=x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert isinstance(truth, common.channel.Truth)
    assert truth.h == pytest.approx(complex(channel.fading(0, 0, 100).mean()))
    assert channel.change({"snr_db": 12.0}) == [((b"", 0, 0), 100)]
    with pytest.raises(AttributeError, match="has no attribute 'Chanel'"):
        common.channel.Chanel  # noqa: B018
