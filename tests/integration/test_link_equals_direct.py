"""The real processes decide what a direct evaluation decides: same seed, stream and air positions, same samples."""

import json
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import FeedbackSpec
from common.images.datasets import load_images
from common.pair.manifest import find_pair
from sctx.rate.policy import RatePolicy
from training.lab.direct import run_direct
from training.lab.processes import Command, start_emulator, start_receiver

COUNT = 120
SNR_DB, SEED, STREAM = 4.0, 11, 6
OFTEN = {("rayleigh", "adaptive", "none", "onnx"), ("rayleigh", "fixed:8", "none", "torch"),
         ("rayleigh", "fixed:2", "incremental", "onnx"), ("none", "fixed:2", "incremental", "torch")}  # fmt: skip
"""What `make test` runs; the rest is for `make full`."""


def over_the_link(
    emulator_flags: tuple[str, ...], *flags: str, model: str | Path = "digits", backend: str = "onnx"
) -> list[tuple[object, ...]]:
    """(answer, symbols, round, confidence, SNR) of each image, one frame in flight."""
    with ExitStack() as running:
        receiver, upstream = start_receiver("--model", str(model))
        running.enter_context(receiver)
        emulator, port = start_emulator(upstream, "--snr", str(SNR_DB), "--seed", str(SEED), *emulator_flags)
        running.enter_context(emulator)
        same = ("--window", "1", "--stream", str(STREAM), "--count", str(COUNT), "--json")
        same += ("--model", str(model), "--backend", backend)
        transmitter = running.enter_context(Command("sctx", "--peer", f"127.0.0.1:{port}", *same, *flags))
        items = [json.loads(line) for line in transmitter.lines()]
        assert transmitter.wait(30) == 0, transmitter.said
    return [(a["answer"], a["symbols"], a["round"], a["confidence"], a["snr_est_db"]) for a in items[:-1]]


def directly(
    fading: str, policy: str, ask_below: float = 0.0, model: str | Path = "digits", backend: str = "onnx", **more: Any
) -> list[tuple[object, ...]]:
    """The same without sockets."""
    spec = ChannelSpec(snr_db=SNR_DB, seed=SEED, fading=fading)
    images = load_images("digits", "test").images[:COUNT]
    answers = run_direct(find_pair(model), images, spec, STREAM, RatePolicy.parse(policy), ask_below, backend=backend,
                         **more)  # fmt: skip
    return [
        (a.answer, a.symbols, a.round, round(a.confidence, 4), None if a.snr_est_db is None else round(a.snr_est_db, 2))
        for a in answers
    ]


@pytest.mark.parametrize(
    ("fading", "policy", "arq", "backend"),
    [
        pytest.param(*one, backend, marks=() if (*one, backend) in OFTEN else pytest.mark.full)
        for one in product(("rayleigh", "none"), ("adaptive", "fixed:8", "fixed:2"), ("none", "incremental"))
        if (one[1] == "fixed:2") == (one[2] == "incremental")
        for backend in ("onnx", "torch")
    ],
)
def test_decisions_over_the_link_are_those_of_the_direct_evaluation(
    fading: str, policy: str, arq: str, backend: str
) -> None:
    direct = directly(fading, policy, 0.9 if arq == "incremental" else 0.0, backend=backend)
    assert (max(round_ for _, _, round_, _, _ in direct) > 0) == (arq == "incremental")
    assert over_the_link(("--fading", fading), "--rate-policy", policy, "--arq", arq, backend=backend) == direct


@pytest.mark.parametrize("arq", [pytest.param("none", marks=pytest.mark.full), "incremental"])
def test_an_impaired_way_back_is_the_same_over_the_link_and_without_it(arq: str) -> None:
    """Loss, delay and quantisation are functions of frame addresses; half of them would give other rates."""
    flags = ("--fading", "rayleigh", "--feedback-loss", "0.2", "--feedback-delay", "256", "--feedback-bits", "4")
    asked = 0.9 if arq == "incremental" else 0.0
    impaired = directly("rayleigh", "adaptive", asked, feedback=FeedbackSpec(0.2, 256, 4))
    clean = directly("rayleigh", "adaptive", asked)
    assert [symbols for _, symbols, _, _, _ in impaired] != [symbols for _, symbols, _, _, _ in clean]
    assert any(snr is None for _, _, _, _, snr in impaired[10:])
    assert over_the_link(flags, "--arq", arq) == impaired
