"""Enrolling over the control port: a request gets one answer, a mistake one line, and nothing enrolled is lost."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.control.client import Client
from common.errors import ConfigError, SemlinkError
from scrx.heads.commands import _SHAPES, heads
from scrx.heads.desk import Desk
from scrx.heads.enrolment import ASKED_WITHIN_S, FEW_BITS, MOST_BARE, Collector
from scrx.heads.head import Example
from scrx.heads.service import Heads
from scrx.heads.shelf import Shelf
from tests.scrx.heads.spaces import MUCH, WIDE, head, pair, space

A, B = "aa" * 16, "ab" * 16


def example(session: str, seq: int) -> Example:
    return Example(session, seq, MUCH, np.full(WIDE, seq, np.float32))


class Bench:
    """A desk, who asks, and what the receiver would bring."""

    def __init__(self, folder: Path) -> None:
        self.sessions = [A]
        self.heads = Heads(Shelf(pair(), space(), folder / "heads", 0.05), 16)
        self.desk = Desk(f"ipc://{folder}/control", self.heads, lambda: self.sessions)
        self.client = Client(self.desk.address, "receiver", "scrx", _SHAPES)

    def ask(self, op: str, **given: Any) -> dict[str, Any]:
        return self.client.ask({"op": op, **given})

    def enrol(self, name: str = "zebra", count: int = 2, session: str = "", **more: Any) -> int:
        """Begin; the ticket."""
        asked = {"name": name, "head": "enrolled", "group": "", "next": count, "session": session, "more": False}
        ticket: int = self.ask("enrol", **(asked | more))["ticket"]
        return ticket

    def bring(self, *examples: Example) -> None:
        self.heads.collector.offer(examples, self.heads.clock())

    def close(self) -> None:
        self.client.close()
        self.desk.close()
        self.heads.shelf.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_the_next_pictures_of_the_session_become_a_class_that_is_on_disk_when_it_is_said(bench: Bench) -> None:
    ticket = bench.enrol()
    bench.bring(example(A, 1), example(B, 7), example(A, 1))
    assert bench.ask("enrolling", ticket=ticket) | {"ok": 1} == {
        "ok": 1, "have": 1, "of": 2, "session": A, "done": False, "without": "",
    }  # fmt: skip
    assert bench.ask("heads")["heads"] == []
    bench.bring(example(A, 2), example(A, 3))
    assert bench.ask("enrolling", ticket=ticket)["done"] is True
    folder = bench.heads.shelf.folder
    assert folder is not None
    assert (folder / "enrolled.safetensors").is_file()
    kept = bench.heads.shelf.get("enrolled")
    assert kept is not None
    assert (kept.about.seqs, kept.about.sessions) == ((1, 2), (A, A))
    assert bench.ask("classes", head="enrolled")["classes"] == [{"name": "zebra", "group": "", "examples": 2}]
    (row,) = bench.ask("heads")["heads"]
    assert row == {"head": "enrolled", "classes": 1, "examples": 2, "sha256": kept.sha256}


def test_a_head_that_was_saved_is_loaded_under_another_name_and_removed(bench: Bench) -> None:
    bench.heads.shelf.put(head(space(), np.zeros((2, WIDE)), 2, MUCH, np.random.default_rng(0), "one"))
    raw = bench.ask("save", head="one")["raw"]
    assert bench.ask("load", head="two", raw=raw)["classes"] == 2
    bench.ask("remove", head="one", name="c0")
    assert [one["name"] for one in bench.ask("classes", head="one")["classes"]] == ["c1"]
    assert bench.ask("save", head="two")["raw"] == raw
    bench.ask("remove", head="one")
    assert [one["head"] for one in bench.ask("heads")["heads"]] == ["two"]


def test_a_saved_head_is_replaced_only_where_that_is_said(bench: Bench, tmp_path: Path) -> None:
    bench.heads.shelf.put(head(space(), np.zeros((1, WIDE)), 2, MUCH, np.random.default_rng(0), "one"))
    file = tmp_path / "one.safetensors"
    words = ["save", "one", str(file), "--control", bench.desk.address]

    def save(*more: str) -> None:
        CliRunner().invoke(heads, [*words, *more], standalone_mode=False, catch_exceptions=False)

    save()
    kept = file.read_bytes()
    bench.ask("remove", head="one", name="c0")
    with pytest.raises(ConfigError, match="there is such a file already; name another, or add --overwrite"):
        save()
    assert file.read_bytes() == kept
    save("--overwrite")
    assert file.read_bytes() == bench.ask("save", head="one")["raw"] != kept


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"count": 0}, "--next 0: give a number of examples, 1 to 1000"),
        ({"count": -1}, "--next -1: give"),
        ({"count": 10**9}, "--next 1000000000: give"),
        ({"count": "5"}, "--next '5': give"),
        ({"count": True}, "--next True: give"),
        ({"name": ""}, "is no name for a class"),
        ({"name": "a\nb"}, r"'a\\nb' is no name for a class"),
        ({"name": 5}, "name must be a text"),
        ({"group": "\x1b"}, "is no name for a group"),
        ({"head": "../../etc"}, r"'\.\./\.\./etc' is no name for a head"),
        ({"session": "ff"}, f"--session ff: no such session is connected; connected: {A}"),
        ({"name": "c0"}, "'c0' is enrolled in head 'enrolled' already, from 2 examples; --more adds to them"),
    ],
)
def test_an_enrolment_that_cannot_be_is_refused_before_it_begins(
    bench: Bench, given: dict[str, Any], says: str
) -> None:
    bench.heads.shelf.put(head(space(), np.zeros((1, WIDE)), 2, MUCH, np.random.default_rng(0), "enrolled"))
    with pytest.raises(ConfigError, match=says):
        bench.enrol(**given)
    assert not bench.heads.collector.waits(bench.heads.clock())
    kept = bench.heads.shelf.get("enrolled")
    assert kept is not None
    assert kept.counts.tolist() == [2]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"op": "format"}, "none that this receiver knows"),
        ({"op": "classes", "head": "h"}, "there is no head 'h' here; there are: one"),
        ({"op": "save"}, "there is no head '' here"),
        ({"op": "remove", "head": "one", "name": "x"}, "head 'one' has no class 'x'; it has c0"),
        ({"op": "load", "head": "one", "raw": b""}, "a head 'one' is there already"),
        ({"op": "load", "head": "two", "raw": b"GIF"}, "head 'two' was not loaded: it is no file of tensors"),
        ({"op": "load", "head": "two"}, "load needs the bytes"),
        ({"op": "enrolling", "ticket": 9}, "this enrolment is no more"),
        ({"op": "enrolling"}, "ticket must be a number"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line_and_changes_nothing(
    bench: Bench, request_: dict[str, Any], says: str
) -> None:
    bench.heads.shelf.put(head(space(), np.zeros((1, WIDE)), 2, MUCH, np.random.default_rng(0), "one"))
    with pytest.raises(ConfigError, match=says) as told:
        bench.client.ask(request_)
    assert "\n" not in str(told.value)
    assert [one["head"] for one in bench.ask("heads")["heads"]] == ["one"]


def test_a_head_of_another_pair_is_refused_by_name(bench: Bench) -> None:
    other = head(space(), np.zeros((1, WIDE)), 2, MUCH, np.random.default_rng(0))
    raw = other.packed().replace(b"ab" * 32, b"cd" * 32).replace(b'\\"made\\"', b'\\"them\\"')
    with pytest.raises(ConfigError, match=r"a head for pair them \(cdcdcdcdcdcd.*this receiver runs made"):
        bench.ask("load", head="h", raw=raw)


def test_with_more_a_class_grows_and_a_second_enrolment_waits_its_turn(bench: Bench) -> None:
    bench.heads.shelf.put(head(space(), np.zeros((1, WIDE)), 2, MUCH, np.random.default_rng(0), "enrolled"))
    ticket = bench.enrol("c0", more=True)
    with pytest.raises(ConfigError, match=r"'c0' is being enrolled just now \(0 of 2\)"):
        bench.enrol("other")
    bench.bring(example(A, 1), example(A, 2))
    assert bench.ask("enrolling", ticket=ticket)["done"]
    kept = bench.heads.shelf.get("enrolled")
    assert kept is not None
    assert kept.counts.tolist() == [4]
    bench.ask("give-up", ticket=bench.enrol("other"))
    bench.enrol("another")


def test_of_several_transmitters_one_has_to_be_named(bench: Bench) -> None:
    bench.sessions = [A, B]
    with pytest.raises(ConfigError, match=f"2 transmitters are connected.*--session {A} or {B}"):
        bench.enrol()
    with pytest.raises(ConfigError, match="no such session is clear"):
        bench.enrol(session="a")
    ticket = bench.enrol(session="AB")
    bench.bring(example(A, 1), example(B, 2), example(B, 3))
    assert bench.ask("enrolling", ticket=ticket)["session"] == B


def test_a_session_that_is_gone_before_all_came_is_told_and_nothing_is_enrolled(bench: Bench) -> None:
    ticket = bench.enrol(count=5)
    bench.bring(example(A, 1), example(A, 2))
    bench.sessions = []
    with pytest.raises(SemlinkError, match="is gone after 2 of 5 examples: 'zebra' was not enrolled") as told:
        bench.ask("enrolling", ticket=ticket)
    assert told.value.exit_code == 1
    assert bench.ask("heads")["heads"] == []
    bench.enrol()


def test_one_that_is_gone_after_all_came_is_enrolled(bench: Bench) -> None:
    ticket = bench.enrol()
    bench.bring(example(A, 1), example(A, 2))
    bench.sessions = []
    assert bench.ask("enrolling", ticket=ticket)["done"]


def bare(seq: int) -> Example:
    return replace(example(A, seq), bits=0.0)


def test_a_picture_without_features_is_no_example_until_they_come(bench: Bench) -> None:
    ticket = bench.enrol()
    bench.bring(bare(0), bare(1), example(A, 2))
    told = bench.ask("enrolling", ticket=ticket)
    assert (told["have"], told["done"]) == (1, False)
    assert told["without"].startswith("; 2 more came without features (sent before the first channel report, or by a")
    bench.bring(replace(example(A, 1), bits=MUCH))  # a further round brought them
    told = bench.ask("enrolling", ticket=ticket)
    assert (told["have"], told["done"]) == (2, True)
    assert (
        told["without"] == "; 1 more came without features, as a transmitter's first does, which has heard of no "
        "channel yet"
    )


def test_of_as_many_pictures_as_were_asked_for_those_with_features_are_enrolled(bench: Bench) -> None:
    ticket = bench.enrol(count=3)
    bench.bring(bare(0), example(A, 1), example(A, 2))
    bench.sessions = []
    told = bench.ask("enrolling", ticket=ticket)
    assert (told["have"], told["of"], told["done"]) == (2, 2, True)
    kept = bench.heads.shelf.get("enrolled")
    assert kept is not None
    assert kept.about.seqs == (1, 2)


def test_pictures_without_any_features_make_no_class(bench: Bench) -> None:
    ticket = bench.enrol()
    bench.bring(bare(0), bare(1), bare(2))
    bench.sessions = []
    with pytest.raises(SemlinkError, match=r"gone after 0 of 2 examples; 3 more came without features .*--distortion"):
        bench.ask("enrolling", ticket=ticket)
    assert bench.ask("heads")["heads"] == []


def test_examples_that_say_little_are_told(bench: Bench) -> None:
    ticket = bench.enrol(count=3)
    bench.bring(example(A, 0), replace(example(A, 1), bits=FEW_BITS - 0.1), replace(example(A, 2), bits=FEW_BITS))
    told = bench.ask("enrolling", ticket=ticket)
    assert told["done"]
    assert told["without"].startswith("; 1 of 3 with fewer than 8 bits of features")


def test_a_transmitter_that_never_sends_features_fills_no_memory() -> None:
    wanted = Collector().begin("a", "h", "", 5, "", [], 0.0)
    for seq in range(3 * MOST_BARE):
        wanted.take(bare(seq))
    assert len(wanted.bare) == MOST_BARE
    assert wanted.without.startswith("; 1000 or more came without features")
    wanted.take(bare(0))
    wanted.take(example(A, 0))
    assert (len(wanted.bare), list(wanted.examples)) == (MOST_BARE - 1, [0])


@pytest.mark.parametrize("came", [0, 1, 2])
def test_while_the_receiver_ends_what_is_whole_is_enrolled_and_the_rest_is_told(bench: Bench, came: int) -> None:
    ticket = bench.enrol()
    bench.bring(*(example(A, seq) for seq in range(came)))
    bench.desk.end()
    if came == 2:
        assert bench.ask("enrolling", ticket=ticket)["done"]
        assert bench.heads.shelf.get("enrolled") is not None
    else:
        with pytest.raises(SemlinkError, match=rf"the receiver is ending: 'zebra' was not .*\({came} of 2"):
            bench.ask("enrolling", ticket=ticket)
    with pytest.raises(SemlinkError, match="the receiver is ending"):
        bench.enrol("later")


def test_who_waits_for_an_enrolment_hears_of_the_end_before_the_port_is_gone(bench: Bench) -> None:
    ticket = bench.enrol()
    ending = threading.Thread(target=bench.desk.close)
    ending.start()
    with pytest.raises(SemlinkError, match="the receiver is ending: 'zebra' was not enrolled"):
        bench.ask("enrolling", ticket=ticket)
    ending.join(5)
    assert not ending.is_alive()


def test_who_asks_no_more_has_given_up() -> None:
    """Pure: times are given."""
    collector = Collector()
    first = collector.begin("a", "h", "", 2, "", [], 0.0)
    assert collector.waits(ASKED_WITHIN_S)
    collector.look(first.ticket, [], 3.0)
    collector.offer([example(A, 1), example(A, 2)], 3.0 + ASKED_WITHIN_S + 0.1)
    assert not collector.waits(3.0 + ASKED_WITHIN_S + 0.1)
    second = collector.begin("b", "h", "", 1, "", [], 10.0)
    with pytest.raises(ConfigError, match="this enrolment is no more"):
        collector.look(first.ticket, [], 10.0)
    assert not second.examples


def test_a_picture_that_is_answered_twice_counts_once_as_it_was_answered_last() -> None:
    collector = Collector()
    wanted = collector.begin("a", "h", "", 2, "", [], 0.0)
    collector.offer([example(A, 1), Example(A, 1, 3.0, np.zeros(WIDE, np.float32))], 0.0)
    assert [one.bits for one in wanted.examples.values()] == [3.0]
    assert not wanted.full
