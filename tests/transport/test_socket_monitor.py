"""Connections that come and go are log lines."""

import logging

import pytest
import zmq

from common.transport.monitor import Monitor
from common.transport.sockets import bind, connect, make_socket


def wait_for(monitor: Monitor, caplog: pytest.LogCaptureFixture, event: str) -> logging.LogRecord:
    """The first record of that name; fails after 5 s of silence."""
    while True:
        for record in caplog.records:
            if record.getMessage() == event:
                return record
        assert monitor.socket.poll(5000), f"no {event} among {[record.getMessage() for record in caplog.records]}"
        monitor.drain()


def test_connecting_and_losing_a_peer_are_told(
    context: "zmq.Context[zmq.Socket[bytes]]", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with make_socket(context, zmq.DEALER, "tx") as dealer:
        monitor = Monitor(dealer)
        with make_socket(context, zmq.ROUTER, "rx") as router:
            address = bind(router, "tcp://127.0.0.1:0")
            connect(dealer, address)
            assert vars(wait_for(monitor, caplog, "connected"))["endpoint"].endswith(address.rpartition(":")[2])
        assert wait_for(monitor, caplog, "disconnected").levelno == logging.INFO
        monitor.close()


def test_an_ipv4_peer_is_told_by_its_ipv4_address(
    context: "zmq.Context[zmq.Socket[bytes]]", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with make_socket(context, zmq.ROUTER, "rx") as router, make_socket(context, zmq.DEALER, "tx") as dealer:
        monitor = Monitor(router)
        connect(dealer, bind(router, "tcp://127.0.0.1:0"))
        wait_for(monitor, caplog, "handshake_done")
        told = [vars(record)["endpoint"] for record in caplog.records if "endpoint" in vars(record)]
        assert told
        assert all(one.startswith("tcp://127.0.0.1:") for one in told), told
        monitor.close()


@pytest.mark.parametrize("watched_first", [True, False])
def test_monitors_and_sockets_close_in_any_order(
    context: "zmq.Context[zmq.Socket[bytes]]", watched_first: bool
) -> None:
    socket = make_socket(context, zmq.DEALER, "tx")
    monitor = Monitor(socket)
    for closed in (socket, monitor) if watched_first else (monitor, socket):
        closed.close()
    assert monitor.socket.closed


def test_a_wrong_key_is_told_where_it_was_refused(
    context: "zmq.Context[zmq.Socket[bytes]]", caplog: pytest.LogCaptureFixture
) -> None:
    (_, server_secret), (other_public, _) = zmq.curve_keypair(), zmq.curve_keypair()
    with make_socket(context, zmq.ROUTER, "rx") as router, make_socket(context, zmq.DEALER, "tx") as dealer:
        router.curve_server, router.curve_secretkey = True, server_secret
        dealer.curve_serverkey = other_public
        dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
        monitor = Monitor(router)
        connect(dealer, bind(router, "tcp://127.0.0.1:0"))
        assert wait_for(monitor, caplog, "handshake_failed_protocol").levelno == logging.WARNING
        monitor.close()
