"""The bad network of the other tests, by itself: plain sockets, no link."""

import contextlib
import socket

from training.lab.relay import Relay


def test_a_target_that_was_down_is_found_when_it_is_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        target = taken.getsockname()[1]
    with Relay(target) as relay:
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", relay.port), 20) as refused,
                contextlib.suppress(ConnectionError),
            ):
                assert refused.recv(1) == b""
        with (
            socket.create_server(("127.0.0.1", target)) as server,
            socket.create_connection(("127.0.0.1", relay.port), 20) as near,
        ):
            server.settimeout(20)
            far, _ = server.accept()
            with far:
                for source, sink in ((near, far), (far, near)):
                    source.sendall(b"x")
                    sink.settimeout(20)
                    assert sink.recv(1) == b"x"
