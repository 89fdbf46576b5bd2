"""The real processes decide what a direct evaluation decides: same seed, stream and air positions, same samples."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import torch

from common.channel.spec import ChannelSpec
from common.data import load_images
from common.manifest import find_pair
from sctx.rate import RatePolicy
from training.direct import run_direct
from training.processes import Command, start_emulator, start_receiver

COUNT = 120


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The commands compute with one thread; so does the comparison."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("fading", ["none", "rayleigh"])
@pytest.mark.parametrize(("policy", "arq"), [("adaptive", "none"), ("fixed:8", "none"), ("fixed:2", "incremental")])
def test_decisions_over_the_link_are_those_of_the_direct_evaluation(fading: str, policy: str, arq: str) -> None:
    manifest = find_pair("digits")
    with ExitStack() as running:
        receiver, upstream = start_receiver()
        running.enter_context(receiver)
        emulator, port = start_emulator(upstream, "--snr", "4", "--fading", fading, "--seed", "11")
        running.enter_context(emulator)
        flags = (
            "--window",
            "1",
            "--stream",
            "6",
            "--count",
            str(COUNT),
            "--rate-policy",
            policy,
            "--arq",
            arq,
            "--json",
        )
        transmitter = running.enter_context(Command("sctx", "--peer", f"127.0.0.1:{port}", *flags))
        items = [json.loads(line) for line in transmitter.lines()]
        assert transmitter.wait(30) == 0, transmitter.said
    images = load_images("digits", "test").images[:COUNT]
    spec = ChannelSpec(snr_db=4.0, fading=fading, seed=11)
    ask_below = 0.9 if arq == "incremental" else 0.0
    direct = list(run_direct(manifest, images, spec, 6, RatePolicy.parse(policy), ask_below))
    over_the_link = [(a["answer"], a["symbols"], a["round"], a["confidence"], a["snr_est_db"]) for a in items[:-1]]
    assert (max(a.round for a in direct) > 0) == (arq == "incremental")
    assert over_the_link == [
        (a.answer, a.symbols, a.round, round(a.confidence, 4), round(a.snr_est_db, 2)) for a in direct
    ]
