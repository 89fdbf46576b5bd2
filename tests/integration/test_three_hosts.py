"""The recipe for three hosts, line by line as the documents have it, on three hosts: network namespaces with a cable
between transmitter and emulator and one between emulator and receiver, names, and keys of their own.

Needs root and `ip`; skipped with the reason elsewhere.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_documents import text_of
from training.lab.processes import Command

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]
HOSTS = ("rxhost", "emuhost", "txhost")
CABLES = (("rxhost", "emuhost", "10.213.1"), ("emuhost", "txhost", "10.213.2"))
TYPED = re.compile(r"^    (rxhost|emuhost|txhost)\$ +(.+?)(?: +#.*)?$", re.M)
SPACES = {host: f"semlink-{host}" for host in HOSTS}
ETC = Path("/etc/netns")
"""Where `ip netns exec` looks for a hosts file of each namespace."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20)


def lay_cables() -> dict[str, list[str]]:
    """Both ends of every cable; which host knows whom by which address, as lines of a hosts file."""
    known: dict[str, list[str]] = {host: ["127.0.0.1 localhost"] for host in HOSTS}
    for host in HOSTS:
        ip("netns", "add", SPACES[host])
        ip("-n", SPACES[host], "link", "set", "lo", "up")
    for near, far, net in CABLES:
        ends = (near, f"to-{far}", f"{net}.1"), (far, f"to-{near}", f"{net}.2")
        ip("link", "add", ends[0][1], "netns", SPACES[near], "type", "veth", "peer", "name", ends[1][1], "netns",
           SPACES[far])  # fmt: skip
        for host, device, address in ends:
            ip("-n", SPACES[host], "address", "add", f"{address}/30", "dev", device)
            ip("-n", SPACES[host], "link", "set", device, "up")
        known[near].append(f"{net}.2 {far}")
        known[far].append(f"{net}.1 {near}")
    return known


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[None]:
    """Three namespaces; each with its own hosts file, and a folder of configuration in place of a home."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root and the command ip (iproute2)")
    try:
        for host, names in lay_cables().items():
            (ETC / SPACES[host]).mkdir(parents=True)
            (ETC / SPACES[host] / "hosts").write_text("\n".join(names) + "\n")
        yield
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot make three hosts of this one: {error.stderr.strip()}")
    finally:
        for space in SPACES.values():
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)
            shutil.rmtree(ETC / space, ignore_errors=True)


class On(Command):
    """A command that is typed on a host."""

    def __init__(self, host: str, config: Path, *words: str) -> None:
        run = config / host / "run"  # each host's own: control ports lie there
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = f"XDG_CONFIG_HOME={config / host}", f"XDG_RUNTIME_DIR={run}"
        self._before = ["ip", "netns", "exec", SPACES[host], "env", *own]
        super().__init__(*words)

    def begin(self, words: list[str], **given: Any) -> "subprocess.Popen[str]":  # type: ignore[override]
        return subprocess.Popen([*self._before, *words], **given)


def run(host: str, config: Path, *words: str) -> tuple[int, str]:
    """Type it and wait for its end: exit code, and what it printed."""
    with On(host, config, *words) as command:
        printed = "".join(command.lines())
        return command.wait(90), printed + command.said


def make_keys(config: Path) -> None:
    """The lines of the document, each on its host; KEY is what the host of that name printed."""
    keys: dict[str, str] = {}
    lines = TYPED.findall(text_of("deploy/SECURITY.md"))
    assert len(lines) == 7
    for host, line in lines:
        words = shlex.split(line)
        assert words[:3] == ["python", "-m", "common.transport.keys"]
        code, printed = run(host, config, *(keys[words[-2]] if word == "KEY" else word for word in words))
        assert code == 0, printed
        if words[3] == "new":
            name, keys[host] = printed.split()
            assert name == host


def commands() -> dict[str, list[str]]:
    """What the README says for three hosts, by host."""
    return {host: shlex.split(line) for host, line in TYPED.findall(text_of("README.md"))}


def test_the_recipe_for_three_hosts_works_as_it_is_written(hosts: None, tmp_path: Path) -> None:
    make_keys(tmp_path)
    typed = commands()
    assert [typed[host][0] for host in HOSTS] == ["scrx", "channel-emu", "sctx"]
    with On("rxhost", tmp_path, *typed["rxhost"]) as rx, On("emuhost", tmp_path, *typed["emuhost"]) as emu:
        rx.wait_for("encrypted")
        assert (rx.port(), emu.port()) == (5555, 5555)
        code, printed = run("txhost", tmp_path, *typed["txhost"], "--check")
        assert code == 0, printed
        assert "1 emulator on the path" in printed
        code, printed = run("txhost", tmp_path, *typed["txhost"], "--count", "60", "--json")
        assert code == 0, printed
        lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        assert (lines[-1]["summary"]["answered"], lines[-1]["summary"]["lost"]) == (60, 0)
        # no cable leads around the channel, and a name that is not known here is told
        around = [word.replace("emuhost", "rxhost") for word in typed["txhost"]]
        code, printed = run("txhost", tmp_path, *around, "--check")
        assert (code != 0, "rxhost" in printed) == (True, True)


def test_a_host_that_is_not_trusted_gets_nothing(hosts: None, tmp_path: Path) -> None:
    make_keys(tmp_path)
    typed = commands()
    with On("rxhost", tmp_path, *typed["rxhost"]) as rx, On("emuhost", tmp_path, *typed["emuhost"]) as emu:
        assert (rx.port(), emu.port()) == (5555, 5555)
        code, _ = run("emuhost", tmp_path, "python", "-m", "common.transport.keys", "forget", "txhost")
        assert code == 0
        code, printed = run("txhost", tmp_path, *typed["txhost"], "--count", "5", "--give-up", "20")
        assert (code, "does not trust this host's key" in printed) == (3, True)
        emu.wait_for("key_refused")
