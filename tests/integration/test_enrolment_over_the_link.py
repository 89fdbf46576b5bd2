"""Classes that are enrolled while the link runs: known from the next frame on, kept whatever is killed, and the
transmitter is told nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import scrx
import sctx
from common.control.client import Client
from common.images.datasets import load_images
from common.pair.manifest import find_pair
from common.phy.words import places
from common.protocol.messages import Data, Message, Result
from scrx.decoding.answerer import Answerer
from scrx.decoding.pool import Pool
from scrx.demodulation.demodulate import SoftBatch
from scrx.heads.commands import _SHAPES
from scrx.heads.space import Space
from scrx.link import Link
from scrx.sessions.owner import Route
from sctx.pipeline import TransmitChain
from tests.scrx.heads.spaces import put_space, space


@pytest.fixture(scope="module")
def made(tiny_pair: Path) -> Space:
    """A space beside the small pair, by which the black picture and the white one are far from each other."""
    manifest = find_pair(tiny_pair)
    chain, answerer = TransmitChain(manifest), Answerer(manifest)
    sent = chain.modulate(chain.encode(np.stack([picture(which) for which in range(16)])[..., None]), words=1)
    sure, place = np.full(sent.shape, 1e3, np.float32), np.tile(places(sent.shape[1], 1), (16, 1))
    _, rows = answerer.hear(SoftBatch(sent, sure, place, ()))
    of = space(manifest.id, rows.shape[1])
    of.mean[:] = rows.mean(0)
    of.white[:] = 3.0 * np.eye(rows.shape[1]) / rows.std()
    put_space(tiny_pair, of)
    return of


ALL = sctx.Settings(policy="fixed:32")
"""Every symbol of every picture; from the first report on, all but one of them say features."""


def peer(rx: scrx.Receiver) -> str:
    return rx.address.removeprefix("tcp://")


@contextmanager
def receiver(pair: Path | str, tmp_path: Path, **more: Any) -> Iterator[scrx.Receiver]:
    settings = scrx.Settings(control=f"ipc://{tmp_path}/control", heads=tmp_path / "heads", unknown=0.0, **more)
    with scrx.Receiver("127.0.0.1:0", pair, settings) as rx:
        yield rx


def enrol(tmp_path: Path, tx: sctx.Transmitter, name: str, images: list[np.ndarray]) -> None:
    """The command, while a transmitter sends."""
    with Client(f"ipc://{tmp_path}/control", "receiver", "scrx", _SHAPES) as client:
        asked = {"op": "enrol", "name": name, "head": "enrolled", "next": len(images), "session": "", "group": ""}
        ticket = client.ask(asked)["ticket"]
        for image in images:
            tx.send(image)
        for _ in range(3000):
            if client.ask({"op": "enrolling", "ticket": ticket})["done"]:
                return
            time.sleep(0.01)
        pytest.fail(f"{name} was not enrolled in half a minute")


def told(rx: scrx.Receiver, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for answer in rx.answers(timeout_s=10.0):
        assert answer is not None
        found.append(answer.heads)
        if len(found) == count:
            break
    return found


BLACK, WHITE = 0, 15


def picture(which: int) -> np.ndarray:
    """Four squares, each black or white: 0 to 15."""
    squares = np.array([255 * (which >> bit & 1) for bit in range(4)], np.uint8).reshape(2, 2)
    return np.kron(squares, np.ones((4, 4), np.uint8))


def test_a_class_is_known_from_the_next_frame_on_and_again_after_a_new_start(
    tiny_pair: Path, made: Space, tmp_path: Path
) -> None:
    with receiver(tiny_pair, tmp_path) as rx, sctx.Transmitter(peer(rx), tiny_pair, ALL) as tx:
        tx.send(picture(BLACK))
        assert told(rx, 1) == [{}]
        enrol(tmp_path, tx, "a", [picture(BLACK)] * 3)
        enrol(tmp_path, tx, "b", [picture(WHITE)] * 3)
        told(rx, 6)
        tx.send(picture(BLACK)), tx.send(picture(WHITE))
        assert [one["enrolled"]["name"] for one in told(rx, 2)] == ["a", "b"]
    with receiver(tiny_pair, tmp_path) as rx, sctx.Transmitter(peer(rx), tiny_pair, ALL) as tx:
        tx.send(picture(BLACK)), tx.send(picture(WHITE))  # the first is sent before any report: a word and no features
        _, again = told(rx, 2)
    assert again["enrolled"]["name"] == "b"
    assert {one["name"] for one in again["enrolled"]["nearest"]} == {"b"}


def test_the_transmitter_sends_and_hears_the_same_before_and_after(
    tiny_pair: Path, made: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of DATA and RESULT but session and times."""
    sent: list[Data] = []
    heard: list[Result] = []
    take, send = Link._take, Link._send

    def taken(link: Link, message: Message, *rest: Any) -> None:
        sent.extend([message] if isinstance(message, Data) else [])
        take(link, message, *rest)

    def told_back(link: Link, route: Route, message: Message) -> None:
        heard.extend([message] if isinstance(message, Result) else [])
        send(link, route, message)

    monkeypatch.setattr(Link, "_take", taken)
    monkeypatch.setattr(Link, "_send", told_back)
    images, tasks = [picture(seed) for seed in range(4)], ("classify", "embedding")
    for wanted in (tasks[:1], tasks):
        sent.clear(), heard.clear()
        with receiver(tiny_pair, tmp_path / wanted[-1]) as rx:
            for _ in range(2):
                with sctx.Transmitter(
                    peer(rx), tiny_pair, sctx.Settings(policy="robust", stream=1, tasks=wanted)
                ) as tx:
                    for image in images:
                        tx.send(image)
                with sctx.Transmitter(peer(rx), tiny_pair, sctx.Settings(policy="fixed:32", stream=2)) as other:
                    other.send(picture(WHITE))  # before any report: it has no features, and is no example
                    if not rx.heads.shelf.judges:  # type: ignore[union-attr]
                        enrol(tmp_path / wanted[-1], other, "a", [picture(BLACK)])
        ours = [one for one in sent if one.stream == 1]
        assert [_still(one) for one in ours[:4]] == [_still(one) for one in ours[4:]]
        sessions = {one.session for one in ours}
        back = [one for one in heard if one.session in sessions]
        assert len(back) == 8
        assert [_still(one) for one in back[:4]] == [_still(one) for one in back[4:]]
        assert {tuple(one.outputs) for one in back} == {wanted}


MOVING = {"session", "age_ms", "sent_ns", "queue_us", "decode_us", "credits", "deadline_ms"}


def _still(message: Data | Result) -> dict[str, object]:
    found = {one.name: getattr(message, one.name) for one in fields(message) if one.name not in MOVING}
    return {name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in found.items()}


def test_somebody_new_enrols_a_class_from_a_folder_of_pictures_with_two_commands(
    tiny_pair: Path, made: Space, tmp_path: Path
) -> None:
    from PIL import Image

    from sctx.cli import command as sctx_command

    folder = tmp_path / "zebras"
    folder.mkdir()
    for seed in range(4):
        Image.fromarray(picture(seed)).save(folder / f"{seed}.png")
    with receiver(tiny_pair, tmp_path, window=4) as rx:
        ask = [sys.executable, "-m", "scrx", "enrol", "zebra", "--next", "3", "--control", f"ipc://{tmp_path}/control"]
        with subprocess.Popen(ask, stdout=subprocess.PIPE, text=True) as asking:
            while not rx.heads.collector.waits(time.monotonic()):  # type: ignore[union-attr]
                time.sleep(0.01)
            flags = ["--peer", peer(rx), "--model", str(tiny_pair), "--source", str(folder), "--distortion", "10"]
            sent = CliRunner().invoke(sctx_command, flags, obj={"log_format": "text"})
            out, _ = asking.communicate(timeout=60)
        assert sent.exit_code == 0, sent.output
        assert asking.returncode == 0
        assert "'zebra' is enrolled in head 'enrolled' from 3 pictures of session" in out
        assert "; 1 more came without features" in out, "the first, before any report"
        assert rx.heads.shelf.get("enrolled").classes[0].examples == 3  # type: ignore[union-attr]


@pytest.mark.full
def test_an_enrolment_holds_for_every_worker_and_whatever_is_killed(
    tiny_pair: Path, made: Space, tmp_path: Path
) -> None:
    with receiver(tiny_pair, tmp_path, workers=2, max_batch=1) as rx:
        pool = rx.pool
        assert isinstance(pool, Pool)
        with sctx.Transmitter(peer(rx), tiny_pair, ALL) as tx:
            tx.send(picture(BLACK))  # before any report: it has no features, and is no example
            assert told(rx, 1) == [{}]
            enrol(tmp_path, tx, "a", [picture(BLACK)] * 2)
            enrol(tmp_path, tx, "b", [picture(WHITE)] * 2)
            told(rx, 4)
            for victim in pool.processes:
                for _ in range(4):
                    tx.send(picture(BLACK))
                assert {one["enrolled"]["name"] for one in told(rx, 4)} == {"a"}
                os.kill(victim, signal.SIGKILL)
            for _ in range(4):
                tx.send(picture(WHITE))
            assert {one["enrolled"]["name"] for one in told(rx, 4)} == {"b"}


def test_a_digit_is_enrolled_from_five_received_and_told_from_the_others(tmp_path: Path) -> None:
    """The shipped pair, its space and real pictures: two heads on one packet, and strangers are told."""
    images = load_images("digits", "test")
    of = {k: [images.images[row] for row in np.flatnonzero(images.labels == k)[:12]] for k in (3, 4, 8)}
    settings = scrx.Settings(control=f"ipc://{tmp_path}/control")
    with (
        scrx.Receiver("127.0.0.1:0", "digits", settings) as rx,
        sctx.Transmitter(peer(rx), "digits", ALL) as tx,
    ):
        tx.send(of[8][0])  # before any report there is a word and no features
        for k in (3, 4):
            enrol(tmp_path, tx, f"digit {k}", of[k][:5])
        told(rx, 11)
        for k in (3, 4, 8):
            for image in of[k][5:]:
                tx.send(image)
        names = [one["enrolled"]["name"] for one in told(rx, 21)]
    assert sum(name == "digit 3" for name in names[:7]) >= 6
    assert sum(name == "digit 4" for name in names[7:14]) >= 6
    assert sum(name is None for name in names[14:]) >= 6
