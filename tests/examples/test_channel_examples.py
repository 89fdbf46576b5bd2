"""What CONTRIBUTING shows of the channel works as it stands there."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from common.channel import Channel, ChannelSpec
from common.channel.models import flat
from common.channel.spec import spec


def test_a_channel_model_is_a_name_and_a_class(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for table in (spec.FADING, flat.MODELS):
        monkeypatch.setitem(table, "on-off", None)  # so that it is taken out again
    place = importlib.util.spec_from_file_location("channel_model", Path(__file__).with_name("channel_model.py"))
    example = importlib.util.module_from_spec(place)
    place.loader.exec_module(example)
    example.main()
    assert capsys.readouterr().out == "25% of the symbols are lost; SNR 20.0 dB of 20 on average\n"
    asked = ChannelSpec(fading="on-off", coherence=7)
    h = Channel(asked).fading(3, 0, 40_000)
    assert np.mean(np.abs(h) ** 2) == pytest.approx(1.0, abs=0.03)
    assert np.mean(h == 0) == pytest.approx(example.BLOCKED, abs=0.02)
    assert set((np.flatnonzero(np.diff(h)) + 1) % 7) == {0}
    again = Channel(asked)
    assert np.array_equal(np.concatenate([again.fading(3, at, 500) for at in range(0, 40_000, 500)]), h)
    assert again.change({"fading": "rayleigh"}) == [((b"", 3, 0), 0)]  # one may follow another while it runs
