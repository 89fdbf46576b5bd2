"""Every socket of the project has the options that the link relies on."""

import socket
from contextlib import suppress

import pytest
import zmq

from common.transport.sockets import HIGH_WATER, Role, bind, connect, make_socket

OPTIONS = {
    zmq.LINGER: 0,
    zmq.SNDBUF: 65536,
    zmq.RCVBUF: 65536,
    zmq.MAXMSGSIZE: 1 << 20,
    zmq.IMMEDIATE: 1,
    zmq.RECONNECT_IVL: 50,
    zmq.RECONNECT_IVL_MAX: 250,
    zmq.HEARTBEAT_TIMEOUT: 3000,
    zmq.HEARTBEAT_TTL: 3000,
    zmq.HANDSHAKE_IVL: 2000,
    zmq.TCP_KEEPALIVE: 1,
}


@pytest.mark.parametrize("kind", [zmq.ROUTER, zmq.DEALER], ids=["router", "dealer"])
@pytest.mark.parametrize(("role", "high_water"), [("tx", 64), ("emu", 16), ("rx", 64)])
def test_options_are_set(context: "zmq.Context[zmq.Socket[bytes]]", kind: int, role: Role, high_water: int) -> None:
    with make_socket(context, kind, role) as socket:
        assert {option: socket.getsockopt(option) for option in OPTIONS} == OPTIONS
        assert socket.getsockopt(zmq.HEARTBEAT_IVL) == (0 if kind == zmq.ROUTER else 1000)
        assert socket.getsockopt(zmq.SNDHWM) == socket.getsockopt(zmq.RCVHWM) == high_water == HIGH_WATER[role]


def test_a_router_refuses_a_peer_that_is_gone_instead_of_dropping_in_silence(
    context: "zmq.Context[zmq.Socket[bytes]]",
) -> None:
    with make_socket(context, zmq.ROUTER, "rx") as router:
        bind(router, "tcp://127.0.0.1:0")
        with pytest.raises(zmq.ZMQError) as refusal:
            router.send_multipart([b"nobody", b""], zmq.NOBLOCK)
        assert refusal.value.errno == zmq.EHOSTUNREACH


def test_nothing_queues_for_a_peer_that_is_away(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    with socket.socket() as deaf, make_socket(context, zmq.DEALER, "tx") as dealer:
        deaf.bind(("127.0.0.1", 0))  # takes the port and refuses everybody, because it does not listen
        connect(dealer, f"tcp://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(zmq.Again):
            dealer.send(b"", zmq.NOBLOCK)


def test_a_frame_of_more_than_a_mebibyte_never_arrives(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    with make_socket(context, zmq.ROUTER, "rx") as router, make_socket(context, zmq.DEALER, "tx") as dealer:
        connect(dealer, bind(router, "tcp://127.0.0.1:0"))
        dealer.send(bytes(1 << 20))
        assert router.poll(5000)
        assert len(router.recv_multipart()[1]) == 1 << 20
        dealer.send(bytes((1 << 20) + 1))  # cuts the connection, which is made anew
        while not router.poll(20):
            with suppress(zmq.Again):
                dealer.send(b"next", zmq.NOBLOCK)
        assert router.recv_multipart()[1] == b"next"
