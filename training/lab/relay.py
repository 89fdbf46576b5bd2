"""A bad network on one host: a TCP forwarder that can be slow or go dark. Knows nothing about what it carries."""

import contextlib
import socket
import threading
import time


class Relay:
    """Forwards 127.0.0.1:`port` to the port `target`. delay_s: one way; bytes_per_s: per connection and direction.

    While `cut`, what arrives stays where it is and nobody is told, as with a cable that was pulled.
    """

    def __init__(self, target: int, delay_s: float = 0.0, bytes_per_s: float = 1e9) -> None:
        self._target, self._delay_s, self._bytes_per_s = target, delay_s, bytes_per_s
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self._flows.set()
        for opened in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for opened in [self._listener, *self._sockets]:
            opened.close()

    def cut(self) -> None:
        """Pull the cable."""
        self._flows.clear()

    def mend(self) -> None:
        """Put it back."""
        self._flows.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:  # the target is down; the next dial may find it
                    near.close()
                    continue
                self._sockets += near, far
                for ends in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=self._pump, args=ends))
                    self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(4096):
                self._flows.wait()
                time.sleep(self._delay_s + len(piece) / self._bytes_per_s)
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
