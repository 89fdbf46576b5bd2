"""Keys on the whole link: as typed between hosts, refusals with a line and a code, and no secret anywhere."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from zmq.utils import z85

import scrx
import sctx
from common.errors import PeerRejected
from common.transport.keystore import Keys, make_keys
from tests.warm import Stem
from training.lab.processes import Command

Start = Callable[..., Command]
IMAGE = np.zeros((8, 8), np.uint8)


class Hosts:
    """Three hosts, each with its folder of keys, that know each other as 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.rx, self.emu, self.tx = (make_keys(folder / name, name) for name in ("rxhost", "emuhost", "txhost"))
        self.rx.trust("emuhost", self.emu.own.public)
        self.emu.trust("127.0.0.1", self.rx.own.public)
        self.emu.trust("txhost", self.tx.own.public)
        self.tx.trust("127.0.0.1", self.emu.own.public)


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path)


@pytest.fixture
def friend(hosts: Hosts, tmp_path: Path) -> Keys:
    """A host that speaks with rxhost directly, and that rxhost trusts."""
    keys = make_keys(tmp_path / "friend", "friend")
    keys.trust("127.0.0.1", hosts.rx.own.public)
    hosts.rx.trust("friend", keys.own.public)
    return keys


def forms(keys: Keys) -> list[str]:
    """How a secret could be written."""
    secret = keys.own.secret
    return [secret.hex(), secret.hex().upper(), z85.encode(secret).decode(), repr(secret)[2:-1]]


def port_of(receiver: scrx.Receiver) -> str:
    return f"127.0.0.1:{receiver.address.rpartition(':')[2]}"


def test_with_keys_the_three_commands_work_as_typed_and_no_output_holds_a_secret(
    hosts: Hosts, start: Start, tiny_pair: Path
) -> None:
    def flags(keys: Keys) -> tuple[str, ...]:
        return ("--keys", str(keys.folder), "--log-level", "debug")

    model = ("--model", str(tiny_pair))
    receiver = start("scrx", "--listen", "0", "--json", *model, *flags(hosts.rx))
    upstream = f"127.0.0.1:{receiver.port()}"
    emulator = start("channel-emu", "--listen", "0", "--control", "0", "--upstream", upstream, *flags(hosts.emu))
    peer = f"127.0.0.1:{emulator.port()}"
    transmitter = start("sctx", "--peer", peer, "--json", "--count", "20", *model, *flags(hosts.tx))
    lines = list(transmitter.lines())
    assert transmitter.wait(60) == 0, transmitter.said
    assert json.loads(lines[-1])["summary"]["answered"] == 20
    receiver.wait_for(r"listening on tcp://(\[::\]|0\.0\.0\.0):\d+")
    receiver.wait_for("encrypted; lets in rxhost and the 1 key trusted in")
    emulator.wait_for("encrypted; lets in emuhost and the 2 keys trusted in")
    assert (emulator.stop(), receiver.stop()) == (0, 0)
    output = "\n".join([*lines, transmitter.said, emulator.said, receiver.said])
    assert "handshake_done" in output
    secrets = [form for keys in (hosts.rx, hosts.emu, hosts.tx) for form in forms(keys)]
    assert not [form for form in secrets if form in output]


@pytest.mark.parametrize("name", ["sctx", "scrx", "channel-emu"])
def test_print_config_names_the_folder_and_not_what_is_in_it(stem: Stem, name: str, hosts: Hosts) -> None:
    needed = {"sctx": ("--peer", "h:1"), "scrx": ("--listen", "0"), "channel-emu": ()}[name]
    ran = stem.run(name, *needed, "--keys", str(hosts.rx.folder), "--print-config")
    assert ran.returncode == 0
    assert str(hosts.rx.folder) in ran.stdout
    assert not [form for form in forms(hosts.rx) if form in ran.stdout + ran.stderr]


def test_an_image_is_answered_over_an_encrypted_link(hosts: Hosts, friend: Keys, tiny_pair: Path) -> None:
    with (
        scrx.Receiver("0", tiny_pair, scrx.Settings(keys=hosts.rx.folder)) as rx,
        sctx.Transmitter(port_of(rx), tiny_pair, sctx.Settings(keys=friend.folder)) as tx,
    ):
        assert tx.send(IMAGE).index >= 0


def test_a_transmitter_that_is_not_trusted_is_refused(hosts: Hosts, friend: Keys, tiny_pair: Path) -> None:
    hosts.rx.forget("friend")
    with (
        scrx.Receiver("0", tiny_pair, scrx.Settings(keys=hosts.rx.folder)) as rx,
        sctx.Transmitter(port_of(rx), tiny_pair, sctx.Settings(keys=friend.folder)) as tx,
        pytest.raises(PeerRejected, match="refused the connection: it does not trust this host's key"),
    ):
        tx.connect()


def test_a_receiver_with_another_key_than_the_trusted_one_is_told_when_the_patience_ends(
    hosts: Hosts, tiny_pair: Path
) -> None:
    with (
        scrx.Receiver("0", tiny_pair, scrx.Settings(keys=hosts.rx.folder)) as rx,
        sctx.Transmitter(port_of(rx), tiny_pair, sctx.Settings(keys=hosts.tx.folder, give_up_s=3.0)) as tx,
        pytest.raises(PeerRejected, match=r"no receiver answered for 3 s.*another key than the one trusted here"),
    ):
        tx.connect()


@pytest.mark.parametrize("receiver_has_keys", [True, False])
def test_one_side_without_keys_is_refused(hosts: Hosts, friend: Keys, tiny_pair: Path, receiver_has_keys: bool) -> None:
    mine, theirs = (hosts.rx.folder, None) if receiver_has_keys else (None, friend.folder)
    with (
        scrx.Receiver("0", tiny_pair, scrx.Settings(keys=mine)) as rx,
        sctx.Transmitter(port_of(rx), tiny_pair, sctx.Settings(keys=theirs)) as tx,
        pytest.raises(PeerRejected, match="one side encrypts and the other does not"),
    ):
        tx.connect()


def test_a_key_that_is_forgotten_ends_its_transmitter_and_the_sessions_of_others_go_on(
    hosts: Hosts, friend: Keys, tmp_path: Path, tiny_pair: Path
) -> None:
    other = make_keys(tmp_path / "other", "other")
    other.trust("127.0.0.1", hosts.rx.own.public)
    hosts.rx.trust("other", other.own.public)
    with (
        scrx.Receiver("0", tiny_pair, scrx.Settings(keys=hosts.rx.folder)) as rx,
        sctx.Transmitter(port_of(rx), tiny_pair, sctx.Settings(keys=friend.folder)) as forgotten,
        sctx.Transmitter(port_of(rx), tiny_pair, sctx.Settings(keys=other.folder)) as kept,
    ):
        forgotten.send(IMAGE)
        kept.send(IMAGE)
        hosts.rx.forget("friend")
        with pytest.raises(PeerRejected, match="does not trust this host's key"):  # noqa: PT012  # it takes a moment
            while True:
                forgotten.send(IMAGE)
        assert kept.send(IMAGE).index >= 0
        assert len([peer for peer in rx.table.peers.values() if peer.answered > 1]) >= 1


def test_an_emulator_that_is_refused_upstream_says_so_and_ends(hosts: Hosts, start: Start, stem: Stem) -> None:
    """Two emulators in a row: the first refuses the second as a receiver would."""
    first = start("channel-emu", "--listen", "0", "--control", "0", "--keys", str(hosts.rx.folder))
    port = first.port()
    hosts.rx.forget("emuhost")
    second = stem.run("channel-emu", "--listen", "0", "--control", "0", "--upstream", f"127.0.0.1:{port}",
                      "--keys", str(hosts.emu.folder))  # fmt: skip
    assert second.returncode == 3
    told = f"--upstream tcp://127.0.0.1:{port} refused the connection: it does not trust this host's key"
    assert told in " ".join(second.stderr.split())
    assert "Traceback" not in second.stderr
    first.wait_for(f"key_refused.*unknown key {hosts.emu.own.public.hex()[:12]}")


def test_without_keys_a_bare_port_is_this_host_only_and_says_how_to_open_it(start: Start) -> None:
    emulator = start("channel-emu", "--listen", "0", "--control", "0")
    emulator.wait_for(r"listening on tcp://127\.0\.0\.1:\d+")
    emulator.wait_for("only this host can reach it; to let others in make keys with .*, or say --insecure")


def test_insecure_opens_a_bare_port_and_warns(start: Start) -> None:
    emulator = start("channel-emu", "--listen", "0", "--control", "0", "--insecure")
    emulator.wait_for("anybody can reach it, without encryption")
    emulator.wait_for("open_without_encryption")


def test_a_secret_that_others_can_read_is_not_used(hosts: Hosts, stem: Stem) -> None:
    (hosts.rx.folder / "own.secret").chmod(0o644)
    ran = stem.run("channel-emu", "--keys", str(hosts.rx.folder))
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "can be read by others than its owner: chmod 600" in ran.stderr
