"""What people type as an address, and the one line they get back where it is wrong."""

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from common.transport.endpoints import as_ipv4, as_ipv4_peer, is_loopback, is_own, parse_listen, parse_peer, reachable
from common.transport.sockets import bind, connect, make_socket


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5556", "tcp://127.0.0.1:5556"),
        ("emu:5555", "tcp://emu:5555"),
        ("emu.example.org:05555", "tcp://emu.example.org:5555"),
        ("emu_1-a:5555", "tcp://emu_1-a:5555"),
        ("bücher:5555", "tcp://bücher:5555"),
        ("tcp://emu:5555", "tcp://emu:5555"),
        ("[::1]:5555", "tcp://[::1]:5555"),
        ("tcp://[::1]:5555", "tcp://[::1]:5555"),
        ("[fe80::1%eth0]:5555", "tcp://[fe80::1%eth0]:5555"),
        ("localhost:5555", "tcp://localhost:5555"),
        ("ipc:///run/semlink", "ipc:///run/semlink"),
        ("ipc://@abstract", "ipc://@abstract"),
    ],
)
def test_a_peer_is_a_host_and_a_port(text: str, address: str) -> None:
    assert parse_peer(text) == address


BRACKETS = "an IPv6 address goes in brackets; write [ADDRESS]:PORT, such as [::1]:5555"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("5555", "peer 5555: no host; write HOST:PORT, such as 127.0.0.1:5555"),
        (":5555", "peer :5555: no host; write HOST:PORT, such as 127.0.0.1:5555"),
        ("", "peer : '' is not a port (1 to 65535); write HOST:PORT"),
        ("emu", "peer emu: 'emu' is not a port (1 to 65535); write HOST:PORT"),
        ("emu:", "peer emu:: '' is not a port (1 to 65535); write HOST:PORT"),
        ("emu:65536", "peer emu:65536: '65536' is not a port (1 to 65535); write HOST:PORT"),
        ("emu:-1", "peer emu:-1: '-1' is not a port (1 to 65535); write HOST:PORT"),
        ("emu:²", "peer emu:²: '²' is not a port (1 to 65535); write HOST:PORT"),
        ("emu:0", "peer emu:0: nobody can be reached at port 0; write the port that the other side tells"),
        ("::1", f"peer ::1: {BRACKETS}"),
        ("::1:5555", f"peer ::1:5555: {BRACKETS}"),
        ("fe80::1", f"peer fe80::1: {BRACKETS}"),
        ("tcp://::1:5555", f"peer tcp://::1:5555: {BRACKETS}"),
        ("emu:55:55", f"peer emu:55:55: {BRACKETS}"),
        ("[::1]", "peer [::1]: '' is not a port (1 to 65535); write HOST:PORT"),
        ("[::1", "peer [::1: [: is no IPv6 address; write [ADDRESS]:PORT, such as [::1]:5555"),
        ("[emu]:1", "peer [emu]:1: [emu] is no IPv6 address; write [ADDRESS]:PORT, such as [::1]:5555"),
        ("1.2.3:5555", "peer 1.2.3:5555: 1.2.3 is no IPv4 address, and no host has such a name"),
        ("127.0.0.256:1", "peer 127.0.0.256:1: 127.0.0.256 is no IPv4 address, and no host has such a name"),
        ("*:5555", "peer *:5555: * is every address of a host that listens; write the host to connect to"),
        (" emu:5555", "peer ' emu:5555': no address has a space or a sign like that in it"),
        ("emu:5555\n", "peer 'emu:5555\\\\n': no address has a space or a sign like that in it"),
        ("http://emu:5555", "peer http://emu:5555: http:// is not spoken here; write HOST:PORT or ipc://PATH"),
        ("udp://emu:5555", "peer udp://emu:5555: udp:// is not spoken here; write HOST:PORT or ipc://PATH"),
        ("tcp://http://emu:5555", f"peer tcp://http://emu:5555: {BRACKETS}"),
        ("emu/x:5555", "peer emu/x:5555: emu/x is no name of a host"),
        ("me@emu:5555", "peer me@emu:5555: me@emu is no name of a host"),
        ("ipc://", "peer ipc://: the path of a local socket has 1 to 107 bytes"),
        ("ipc:///" + "x" * 107, f"peer ipc:///{'x' * 107}: the path of a local socket has 1 to 107 bytes"),
        (None, "peer: an address is text such as HOST:PORT, not None"),
        (5555, "peer: an address is text such as HOST:PORT, not 5555"),
    ],
)
def test_a_wrong_peer_is_told_in_one_line(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_peer(text)
    assert str(error.value) == line


@pytest.mark.parametrize(
    "text", ["::1", "::1:5555", "[::1]", "http://x:1", "a b:1", "1.2.3:4", "ipc://", "x:65536", ""]
)
def test_what_is_wrong_to_connect_to_is_wrong_to_listen_on(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--control "):
        parse_listen(text, reachable=True, flag="--control")


@pytest.mark.parametrize(
    ("listen", "peer", "own"),
    [
        ("5556", "127.0.0.1:5556", True),
        ("127.0.0.1:5556", "localhost:5556", True),
        ("5556", "localhost:5556", True),
        ("127.0.0.1:5556", "127.0.0.1:5555", False),
        ("127.0.0.1:5556", "127.0.0.2:5556", False),
        ("[::1]:5556", "[::1]:5556", True),
        ("0.0.0.0:5556", "127.0.0.1:5556", True),
        ("*:5556", "[::1]:5556", True),
        ("*:5556", f"{socket.gethostname()}:5556", True),
        ("*:5556", "192.0.2.1:5556", False),
        ("127.0.0.1:5556", "[::ffff:127.0.0.1]:5556", True),
        ("[::ffff:0.0.0.0]:5556", "127.0.0.1:5556", True),
        ("*:5556", "no-such-host.invalid:5556", False),
        ("127.0.0.1:0", "127.0.0.1:5556", False),
        ("ipc:///a", "ipc:///a", True),
        ("ipc:///a", "ipc:///b", False),
        ("5556", "ipc:///b", False),
    ],
)
def test_ones_own_port_is_known(listen: str, peer: str, own: bool) -> None:
    assert is_own(parse_listen(listen, reachable=True), parse_peer(peer)) is own


def test_the_line_names_the_flag_that_was_used() -> None:
    with pytest.raises(ConfigError, match=r"^--upstream 5555: no host"):
        parse_peer("5555", flag="--upstream")


@pytest.mark.parametrize(
    ("text", "reachable", "address"),
    [
        ("5555", False, "tcp://127.0.0.1:5555"),
        ("5555", True, "tcp://*:5555"),
        ("0", False, "tcp://127.0.0.1:0"),
        ("localhost:5555", False, "tcp://127.0.0.1:5555"),
        ("127.0.0.2:5555", False, "tcp://127.0.0.2:5555"),
        ("[::1]:5555", False, "tcp://[::1]:5555"),
        ("[::ffff:127.0.0.1]:5555", False, "tcp://127.0.0.1:5555"),
        ("0.0.0.0:5555", True, "tcp://0.0.0.0:5555"),
        ("eth0:5555", True, "tcp://eth0:5555"),
        ("ipc:///run/semlink", False, "ipc:///run/semlink"),
    ],
)
def test_what_is_listened_on(text: str, reachable: bool, address: str) -> None:
    assert parse_listen(text, reachable) == address


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "*", "10.0.0.1", "[::]", "eth0", "localhost.example.org", "127.0.0.1.nip.io"]
)
def test_what_other_hosts_could_reach_needs_to_be_meant(host: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_listen(f"{host}:5555", reachable=False)
    told = (
        "other hosts could reach it without encryption; "
        "make keys with `python -m common.transport.keys`, or say insecure=True to allow that"
    )
    assert str(error.value) == f"listen {host}:5555: {told}"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:10.0.0.1", False),
        ("::ffff:127.0.0.1", True),
        ("[::ffff:7f00:1]", True),
        ("", False),
    ],
)
def test_loopback_is_known(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@given(st.ip_addresses(v=4), st.ip_addresses(v=6))
def test_an_ipv4_address_has_one_name(four: IPv4Address, six: IPv6Address) -> None:
    mapped = str(IPv6Address(0xFFFF00000000 | int(four)))
    for written in (str(four), mapped, f"::ffff:{four}", f"::FFFF:{four}", f"[{mapped}]"):
        assert as_ipv4(written) == str(four)
    assert as_ipv4_peer(f"tcp://[::ffff:{four}]:5555") == f"tcp://{four}:5555"
    assert parse_peer(f"[::ffff:{four}]:5555") == f"tcp://{four}:5555"
    if six.ipv4_mapped is None:
        assert as_ipv4_peer(f"tcp://[{six}]:5555") == f"tcp://[{six}]:5555"
    assert as_ipv4_peer("ipc:///run/[x]") == "ipc:///run/[x]"


@given(text=st.text(max_size=30) | st.from_regex(r"[a-z0-9.:\[\]]{0,12}:[0-9]{0,7}", fullmatch=True))
def test_any_text_gives_an_address_or_a_config_error(text: str) -> None:
    for parse in (parse_peer, lambda text: parse_listen(text, reachable=True), lambda text: parse_listen(text, False)):
        with suppress(ConfigError):
            assert parse(text).startswith(("tcp://", "ipc://"))


def test_a_free_port_is_told(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    with make_socket(context, zmq.ROUTER, "rx") as socket:
        host, _, port = bind(socket, "tcp://127.0.0.1:0").rpartition(":")
        assert host == "tcp://127.0.0.1"
        assert int(port) > 0


def test_a_taken_port_is_told_in_one_line(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    with make_socket(context, zmq.ROUTER, "rx") as first, make_socket(context, zmq.ROUTER, "rx") as second:
        address = bind(first, "tcp://127.0.0.1:0")
        with pytest.raises(ConfigError) as error:
            bind(second, address)
        assert str(error.value) == f"listen: cannot listen on {address}: Address already in use; choose another"


@pytest.mark.parametrize(
    ("address", "why"),
    [("tcp://no-such-interface:5555", "No such device"), ("ipc:///no/such/folder/x", "No such file or directory")],
)
def test_an_address_that_is_not_here_is_told_in_one_line(
    context: "zmq.Context[zmq.Socket[bytes]]", address: str, why: str
) -> None:
    with make_socket(context, zmq.ROUTER, "rx") as socket, pytest.raises(ConfigError) as error:
        bind(socket, address, flag="--control")
    assert str(error.value) == f"--control: cannot listen on {address}: {why}; choose another"


@pytest.mark.parametrize("address", ["tcp://two words:5", "tcp://*:5555", "ipc://"])
def test_an_address_that_nobody_can_have_is_told_in_one_line(
    context: "zmq.Context[zmq.Socket[bytes]]", address: str
) -> None:
    with make_socket(context, zmq.DEALER, "tx") as socket, pytest.raises(ConfigError) as error:
        connect(socket, address)
    assert str(error.value) == f"peer: cannot connect to {address}: Invalid argument; write HOST:PORT"


def test_local_files_work_as_addresses(context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path) -> None:
    address = parse_listen(f"ipc://{tmp_path}/s", reachable=False)
    with make_socket(context, zmq.ROUTER, "rx") as router, make_socket(context, zmq.DEALER, "tx") as dealer:
        connect(dealer, parse_peer(bind(router, address)))
        dealer.send(b"hello")
        assert router.recv_multipart()[1] == b"hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_short_conversation_finds_whichever_address_of_a_name_answers(
    context: "zmq.Context[zmq.Socket[bytes]]", host: str
) -> None:
    with make_socket(context, zmq.ROUTER, "emu") as router:
        address = bind(router, f"tcp://{host}:0")
        assert reachable(parse_peer(f"localhost:{address.rpartition(':')[2]}")) == address
    assert reachable("tcp://nobody.invalid:5") == "tcp://nobody.invalid:5"
    assert reachable("ipc:///run/x") == "ipc:///run/x"
