"""An emulator that is pointed at itself says so at once, however the address is written."""

import socket
from pathlib import Path

import pytest

from common.channel.wire.addresses import Place, check_places
from common.errors import ConfigError
from common.transport.endpoints import parse_listen, parse_peer


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def check(listen: str, upstream: str, control: str = "5557", reachable: bool = True) -> None:
    places = [
        Place("--control", parse_listen(control, reachable, "--control"), True),
        Place("--listen", parse_listen(listen, reachable), True),
        Place("--upstream", parse_peer(upstream, "--upstream"), False),
    ]
    check_places(places)


def is_known(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


SPELLINGS = ["127.0.0.1", "localhost", "0.0.0.0", "127.0.0.2", "0x7f.1", "tcp://127.0.0.1"]
SPELLINGS += ["[::ffff:127.0.0.1]", *filter(is_known, [socket.gethostname()])]
SPELLINGS += ["[::1]", "tcp://[::1]", "[0:0:0:0:0:0:0:1]"] if has_ipv6() else []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_port_of_every_interface_is_met_by_every_own_address(spelling: str) -> None:
    for listen in ("5556", "0.0.0.0:5556", "*:5556", "05556"):
        with pytest.raises(ConfigError, match=r"--upstream .*5556: this emulator itself listens there \(--listen"):
            check(listen, f"{spelling}:5556")
        check(listen, f"{spelling}:5555")


@pytest.mark.parametrize("spelling", ["127.0.0.1", "localhost", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]"])
def test_a_loopback_port_is_met_by_its_own_address_and_no_other(spelling: str) -> None:
    with pytest.raises(ConfigError, match="itself listens there"):
        check("127.0.0.1:5556", f"{spelling}:5556", reachable=False)
    check("127.0.0.1:5556", "127.0.0.2:5556", reachable=False)
    check("127.0.0.1:5556", "192.0.2.1:5556", reachable=False)


def test_other_hosts_and_free_ports_are_no_circle() -> None:
    check("5556", "192.0.2.7:5556")
    check("5556", "no-such-host.invalid:5556")
    check("0", "127.0.0.1:5555", control="0")


def test_the_control_port_is_neither_the_upstream_nor_the_listener(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--upstream .* \(--control"):
        check("5556", "127.0.0.1:5557")
    with pytest.raises(ConfigError, match=r"this is the address of --(control|listen)"):
        check("5557", "127.0.0.1:5555")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="itself listens there"):
        check(f"ipc://{tmp_path}/in", f"ipc://{tmp_path}/link/in")
    check(f"ipc://{tmp_path}/in", f"ipc://{tmp_path}/out")
