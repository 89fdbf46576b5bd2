"""A plan changes every stream at the air sample that it says."""

from pathlib import Path

import numpy as np
import pytest

from common.channel.files.schedule import load_schedule
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.streams.timeline import Plan
from common.errors import ConfigError


def test_a_plan_acts_on_every_stream_at_its_sample(tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    path.write_text("air_sample,parameter,value\n0,snr,20\n30000,snr,0\n30000,k-factor,2\n60000,snr,inf\n")
    plan = load_schedule(path, ChannelSpec(snr_db=5.0))
    assert [plan.mark(k).clocks.at for k in range(len(plan))] == [0, 30_000, 60_000]
    assert plan.mark(1).model.spec.k_factor_db == pytest.approx(3.01, abs=0.01)
    channel = Channel(plan)
    x = np.ones(90_000, np.complex64)
    for stream in (0, 9):
        y = channel.transform(stream, 0, x)
        power = [np.mean(np.abs(part) ** 2) for part in np.split(y - x, 3)]
        assert power[0] == pytest.approx(0.01, rel=0.05)
        assert power[1] == pytest.approx(1.0, rel=0.05)
        assert power[2] == 0.0


def test_a_live_change_ends_the_plan() -> None:
    spec = ChannelSpec(snr_db=10.0)
    channel = Channel(Plan(spec, [(1000, {"snr_db": 0.0})]))
    channel.transform(0, 0, np.ones(500, np.complex64))
    assert channel.change({"snr_db": 30.0}) == [((b"", 0, 0), 500)]
    y = channel.transform(0, 500, np.ones(10_000, np.complex64))
    assert np.mean(np.abs(y - 1) ** 2) == pytest.approx(1e-3, rel=0.1)


def test_a_live_change_leaves_what_the_plan_has_done() -> None:
    channel = Channel(Plan(ChannelSpec(snr_db=0.0), [(1000, {"snr_db": 30.0})]))
    channel.transform(7, 0, np.ones(2000, np.complex64))
    assert channel.change({"doppler": 0.01}) == [((b"", 7, 0), 2000)]
    for stream, start, power in ((7, 2000, 1e-3), (8, 0, 1.0)):  # 8 begins now: it has not come to the plan's change
        y = channel.transform(stream, start, np.ones(10_000, np.complex64))
        assert np.mean(np.abs(y - 1) ** 2) == pytest.approx(power, rel=0.1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,loudness,3\n", "'loudness' is no parameter"),
        ("0,snr,loud\n", "line 1: 'loud' is not a number"),
        ("9,snr,1\n3,snr,2\n", "sort the rows"),
        ("-3,snr,2\n", "no whole number from 0"),
        ("0,doppler,7\n", "doppler 7 is outside"),
        ("0,snr\n", "2 columns"),
    ],
)
def test_a_wrong_plan_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "plan.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_schedule(path, ChannelSpec())
