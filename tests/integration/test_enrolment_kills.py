"""`kill -9` of a receiver amid enrolments: what it said is done is there again, whole, and nothing else is."""

import os
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from common.control.client import Client
from common.errors import LinkDown, SemlinkError
from common.pair.manifest import find_pair
from scrx.heads.commands import _SHAPES
from scrx.heads.head import parse_head
from scrx.heads.packed import read_file
from scrx.heads.space import find_space
from tests.integration.conftest import Start
from training.lab.processes import Command

KILLS, EXAMPLES = 10, 3
HEADS = ("animals", "enrolled")


@dataclass
class Kept:
    """What must be there: classes by head. doubt: the one that was asked for when the receiver was killed."""

    of: dict[str, set[str]] = field(default_factory=lambda: {head: set[str]() for head in HEADS})
    doubt: tuple[str, str] = ("", "")
    count: int = 0

    def settle(self, there: dict[str, set[str]]) -> None:
        """Hold it against what is there: the one in doubt may be or not, no other may differ."""
        head, name = self.doubt
        for one in HEADS:
            assert there.get(one, set()) ^ self.of[one] <= ({name} if one == head else set()), (one, self.doubt)
            self.of[one] = there.get(one, set())
        self.doubt = ("", "")


def ask_on(receiver: Client, kept: Kept, lots: random.Random) -> None:
    """Enrol class after class, and now and then take one away, until nobody answers."""
    while True:
        head = lots.choice(HEADS)
        if len(kept.of[head]) > 1 and lots.random() < 0.3:
            name = lots.choice(sorted(kept.of[head]))
            kept.doubt = head, name
            receiver.ask({"op": "remove", "head": head, "name": name})
            kept.of[head].remove(name)
        else:
            name = f"class {kept.count}"
            kept.doubt, kept.count = (head, name), kept.count + 1
            enrol(receiver, head, name)
            kept.of[head].add(name)
        kept.doubt = ("", "")


def enrol(receiver: Client, head: str, name: str) -> None:
    ticket = receiver.ask({"op": "enrol", "name": name, "head": head, "next": EXAMPLES, "session": "", "group": ""})
    while not receiver.ask({"op": "enrolling", "ticket": ticket["ticket"]})["done"]:
        time.sleep(0.002)


def enrol_one(receiver: Client, kept: Kept) -> None:
    """Once the transmitter is back: before, it is a session that is gone."""
    while True:
        name = f"class {kept.count}"
        kept.count += 1
        try:
            enrol(receiver, HEADS[0], name)
        except LinkDown:
            raise
        except SemlinkError:
            continue
        kept.of[HEADS[0]].add(name)
        return


def what_is_there(receiver: Client) -> dict[str, set[str]]:
    found = dict[str, set[str]]()
    for row in receiver.ask({"op": "heads"})["heads"]:
        classes = receiver.ask({"op": "classes", "head": row["head"]})["classes"]
        assert {one["examples"] for one in classes} <= {EXAMPLES}
        found[row["head"]] = {one["name"] for one in classes}
    return found


def kill_later(rx: Command, folder: Path, lots: random.Random, writes: int) -> threading.Thread:
    """At some moment; or in the middle of a write, where `writes` is not 0: that of so many from now."""

    def wait_for_writes() -> None:
        seen, writing = 0, False
        while seen < writes and rx.process.poll() is None:
            before, writing = writing, any(name.endswith(".tmp") for name in os.listdir(folder))
            seen += writing > before

    def kill() -> None:
        threading.Event().wait(0.0 if writes else lots.uniform(0.0, 1.0))
        wait_for_writes()
        os.kill(rx.process.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.full
@pytest.mark.timeout(600)
def test_ten_kills_amid_enrolments_lose_nothing_that_was_said_to_be_done(start: Start, tmp_path: Path) -> None:
    folder, control, port = tmp_path / "heads", f"ipc://{tmp_path}/control", "0"
    lots, kept, cut, acknowledged = random.Random(0), Kept(), 0, 0
    for life in range(KILLS + 1):
        rx = start("scrx", "--listen", port, "--control", control, "--heads", str(folder))
        if not life:
            port = str(rx.port())
            peer = ("--peer", f"127.0.0.1:{port}")
            start("sctx", *peer, "--count", "10000000", "--fps", "200", "--rate-policy", "fixed:32")
        rx.port()
        assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
        with Client(control, "receiver", "scrx", _SHAPES) as receiver:
            kept.settle(what_is_there(receiver))
            if life == KILLS:
                break
            enrol_one(receiver, kept)
            killer = kill_later(rx, folder, random.Random(life), writes=life % 2 and lots.randint(1, 3))
            with pytest.raises(LinkDown):
                ask_on(receiver, kept, lots)
        killer.join()
        assert rx.process.wait(60) == -signal.SIGKILL
        cut += any(name.endswith(".tmp") for name in os.listdir(folder))
        acknowledged = sum(map(len, kept.of.values()))
        whole(folder)
    print(f"{kept.count} asked, {acknowledged} there, {cut} of {KILLS} kills left a half-written file beside")


def whole(folder: Path) -> None:
    """Each file that has a head's name is one."""
    pair = find_pair("digits")
    wide = find_space(pair).wide
    for path in folder.glob("[!.]*.safetensors"):
        parse_head(read_file(path), path.stem, pair, wide)
