"""What is decided over real sockets is what was decided without: the same samples, the same answers, or it is told."""

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from common.channel.spec.spec import CHANNEL, ChannelSpec
from common.errors import ConfigError, ModelError, PeerRejected, SemlinkError
from training.crossing import comparing, half, link_of_three
from training.crossing.comparing import Crossed, cross, show
from training.crossing.half import Half
from training.crossing.link_of_three import LinkOfThree, flags_of
from training.crossing.subjects import PairSubject, questions_of
from training.lab.evaluation import Setting

pytestmark = pytest.mark.usefixtures("one_thread")
SETTING = Setting("block-rayleigh", "estimated", 3.0, 8, 1, 7, 5, 0.0, 3.0)
PAIR = PairSubject("digits", "digits", "test", 30)


class Nearby(Half):
    """An end in this process, spoken to as if it were in another."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role, self._replies = role, io.StringIO()

    def say(self, **request: object) -> None:
        self._replies = io.StringIO()
        half.serve(self, io.StringIO(json.dumps(request)), self._replies)

    def hear(self) -> dict[str, object]:
        return link_of_three.understood(self.role, self._replies.getvalue())

    def ask(self, **request: object) -> dict[str, object]:
        self.say(**request)
        return self.hear()

    def stop(self) -> None:
        if self._receiver is not None:
            self._receiver.close()


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends in this process, over real sockets all the same; the emulator is its own command."""
    monkeypatch.setattr(link_of_three, "Half", Nearby)


@pytest.mark.usefixtures("nearby")
def test_a_pair_decides_over_the_link_what_it_decides_directly() -> None:
    asked = [
        SETTING,
        replace(SETTING, channel="rayleigh", doppler=1e-3, told_db=float("nan")),
        replace(SETTING, channel="awgn", csi="known"),
    ]
    found = cross(("pair", asdict(PAIR)), PAIR, questions_of(asked))
    assert [one.verdict for one in found[:2]] == ["identical"] * 2
    assert [one.images for one in found[:2]] == [30, 30]
    assert found[2].reason == "a link has to estimate its channel, so csi known is measured without one"


@pytest.mark.full
@pytest.mark.usefixtures("nearby")
def test_another_seed_stream_snr_rate_or_channel_is_noticed() -> None:
    """Else the comparison could not fail."""
    noisy = replace(SETTING, snr_db=-3.0)
    direct, differ = PAIR.direct(asdict(noisy)), []
    with LinkOfThree(("pair", asdict(PAIR))) as link:
        for changed in ({"seed": 8}, {"stream": 6}, {"snr_db": -9.0}, {"symbols": 4}, {"channel": "awgn"}):
            other = asdict(replace(noisy, **changed))
            differ.append(int((link.answers(other, PAIR.ends(other).channel) != direct).sum()))
    assert all(differ), differ


def test_the_flags_of_a_channel_make_that_channel() -> None:
    spec = ChannelSpec(snr_db=-7.25, fading="rayleigh", doppler=0.012345678901234567, coherence=77, seed=2**63)
    flags = flags_of(spec)
    typed = dict(zip(flags[::2], flags[1::2], strict=True))
    made = {name: one.kind(typed[one.flag]) for name, one in CHANNEL.items() if one.flag in typed}
    assert ChannelSpec(**made) == spec
    assert flags_of(ChannelSpec()) == []


@pytest.mark.parametrize(
    ("crossed", "code", "told"),
    [
        ([Crossed({"n": 8}, 30)], 0, "1 points over the link: all identical"),
        ([Crossed({"n": 8}, 30), Crossed({"n": 16}, reason="no ends")], 0, "not over a link, 1 points: no ends"),
        ([Crossed({"n": 8}, 30), Crossed({"n": 16}, 30, 2)], 1, "2 of 30 differ"),
        ([Crossed({"n": 8}, 30, 3, 1)], 1, "3 of 30 differ, 1 of them lost"),
        ([Crossed({"n": 8}, reason="no ends")] * 3, 2, "not over a link, 3 points: no ends"),
    ],
)
def test_what_differs_or_was_lost_is_a_failure(
    crossed: list[Crossed], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(crossed, ["n"]) == code
    assert told in capsys.readouterr().out


class Wrong(PairSubject):
    """Decides one image otherwise."""

    def direct(self, question: dict[str, object]) -> np.ndarray:
        decided = super().direct(question).copy()
        decided[4] = (decided[4] + 1) % 10
        return decided


@pytest.mark.usefixtures("nearby")
def test_one_image_that_is_decided_otherwise_is_counted() -> None:
    subject = Wrong("digits", "digits", "test", 30)
    (found,) = cross(("pair", asdict(subject)), subject, questions_of([SETTING]))
    assert found.verdict == "1 of 30 differ"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConfigError("no"), ConfigError),
        (ModelError("no"), SemlinkError),
        (PeerRejected("no"), PeerRejected),
        (comparing.NotThere("no"), SemlinkError),
    ],
)
def test_what_an_end_raises_is_raised_here_with_its_role(error: Exception, kind: type[Exception]) -> None:
    class Broken(Half):
        def answer(self, request: dict[str, object]) -> dict[str, object]:
            raise error

    replies = io.StringIO()
    half.serve(Broken(), io.StringIO('{"failed": true}\n'), replies)
    with pytest.raises(kind, match=r"^receiver: no$"):
        link_of_three.understood("receiver", replies.getvalue())


@pytest.mark.full  # two interpreters that import torch
def test_three_processes_decide_it_too_and_none_is_left() -> None:
    with LinkOfThree(("pair", asdict(PAIR))) as link:
        question = asdict(SETTING)
        assert np.array_equal(link.answers(question, PAIR.ends(question).channel), PAIR.direct(question))
        processes = [one.process for one in link._halves]
    assert all(one.poll() is not None for one in processes)


@pytest.mark.full
def test_an_end_that_dies_is_told_with_what_it_said(tmp_path: Path) -> None:
    with (
        pytest.raises(SemlinkError, match="receiver: no model pair 'nosuch'"),
        LinkOfThree(("pair", {**asdict(PAIR), "pair": "nosuch"})) as link,
    ):
        link.answers(asdict(SETTING), ChannelSpec())
    with LinkOfThree(("pair", asdict(PAIR))) as link:
        link._halves[0].process.kill()
        with pytest.raises(SemlinkError, match=r"^receiver ended: "):
            link.answers(asdict(SETTING), ChannelSpec())
