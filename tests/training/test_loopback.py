"""Both halves in one process decide what they decide over the link, and nothing of it depends on the machine."""

import socket
import threading

import pytest
import zmq

import scrx
import sctx
from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import FeedbackSpec
from common.images.datasets import load_images
from common.pair.manifest import find_pair
from training.lab.direct import run_direct
from training.lab.loopback import Loopback

pytestmark = pytest.mark.usefixtures("one_thread")
COUNT = 32
IMAGES = load_images("digits", "test").images[:COUNT]
Decided = list[tuple[object, ...]]


def decided(answers: list[sctx.Answer]) -> Decided:
    return [(a.answer, a.symbols, a.uses, a.round, a.confidence, a.snr_est_db) for a in answers]


@pytest.mark.parametrize(
    ("fading", "policy", "ask_below", "feedback"),
    [
        ("rayleigh", "adaptive", 0.0, FeedbackSpec()),
        ("rayleigh", "fixed:2", 0.9, FeedbackSpec()),
        ("rayleigh", "adaptive", 0.9, FeedbackSpec(0.2, 256, 4)),
        ("none", "robust", 0.0, FeedbackSpec()),
    ],
)
def test_it_decides_what_the_direct_evaluation_and_so_the_link_decides(
    fading: str, policy: str, ask_below: float, feedback: FeedbackSpec
) -> None:
    spec = ChannelSpec(snr_db=8.0, seed=11, fading=fading)
    settings = sctx.Settings(stream=6, policy=policy, ask_below=ask_below, backend="torch")
    with Loopback("digits", spec, settings, feedback) as link:
        found = decided([link.send(image) for image in IMAGES])
    policy_ = sctx.RatePolicy.parse(policy)
    direct = run_direct(find_pair("digits"), IMAGES, spec, 6, policy_, ask_below, feedback)
    assert found == [(a.answer, a.symbols, a.uses, a.round, a.confidence, a.snr_est_db) for a in direct]
    assert len({row[1] for row in found}) > 1 or policy == "robust"


def test_it_answers_what_two_sockets_answer() -> None:
    settings = sctx.Settings(policy="fixed:2", ask_below=0.9, window=1)
    with Loopback("digits", ChannelSpec(snr_db=float("inf")), settings) as link:
        alone = decided([link.send(image) for image in IMAGES[:10]])
        seen = list(link.answers())
    with scrx.Receiver("0") as rx, sctx.Transmitter(rx.address.removeprefix("tcp://"), "digits", settings) as tx:
        assert decided([tx.send(image) for image in IMAGES[:10]]) == alone
        for one, other in zip(seen, rx.answers(timeout_s=5), strict=False):
            assert other is not None
            same = "seq", "round", "answer", "name", "confidence", "outputs", "final", "snr_est_db"
            assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]


def test_the_same_again_gives_the_same_with_no_socket_and_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this needs neither sockets nor threads")

    for owner, name in ((socket, "socket"), (zmq, "Context"), (threading.Thread, "start")):
        monkeypatch.setattr(owner, name, refuse)
    captures = [sctx.Capture(100 + k, image, None, k) for k, image in enumerate(IMAGES[:10])]
    found = []
    for _ in range(2):
        with Loopback("digits", ChannelSpec(snr_db=0.0, fading="rayleigh", seed=3)) as link:
            found.append((list(link.run(captures)), list(link.answers()), link.send(IMAGES[10]), link.in_flight))
    assert found[0] == found[1]
    answers, seen, _, in_flight = found[0]
    assert [answer.index for answer in answers if isinstance(answer, sctx.Answer)] == list(range(100, 110))
    assert [one.seq for one in seen] == list(range(10))
    assert {answer.latency_ms for answer in answers if isinstance(answer, sctx.Answer)} == {0.0}
    assert in_flight == 0


def test_what_was_closed_says_so_and_wrong_arguments_are_named() -> None:
    with Loopback("digits") as link:
        link.send(IMAGES[0])
    with pytest.raises(sctx.SemlinkError, match="this loopback was closed"):
        link.send(IMAGES[0])
    for wrong, told in (
        ({"channel": 5.0}, "channel is 5.0"),
        ({"settings": {"stream": 1}}, "settings is"),
        ({"feedback": "none"}, "feedback is 'none'"),
        ({"model": "nosuch"}, "nosuch"),
        ({"channel": ChannelSpec(fading="epa", rate=1e6)}, "fading epa"),
        ({"settings": sctx.Settings(policy="fixed:5")}, "fixed:5"),
        ({"settings": sctx.Settings(tasks=("translate",))}, "translate"),
    ):
        with pytest.raises(sctx.ConfigError, match=told):
            Loopback(**wrong)


def test_what_is_asked_for_comes_back_and_no_more() -> None:
    for tasks, wanted in ((None, {"classify"}), (("embedding",), {"embedding"}), ((), {"classify", "embedding"})):
        with Loopback("digits", settings=sctx.Settings(tasks=tasks)) as link:
            assert set(link.send(IMAGES[0]).outputs) == wanted
