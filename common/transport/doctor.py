"""`--check`: looks at all that must be right before a command works, and says a line each with what to do.

A step gives what it found, or raises what is wrong and how that is mended. Knows nothing about any command.
"""

import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import zmq

from common.console import say
from common.errors import LinkDown, PeerRejected, SemlinkError
from common.transport.claimed import check_free
from common.transport.dialer import Dialer
from common.transport.endpoints import parts_of, resolve
from common.transport.keystore import Keys

Step = tuple[str, Callable[[], str]]
PATIENCE_S, QUICK_S = 3.0, 0.5


def examine(ways: Sequence[Sequence[Step]], typed: Callable[[str], str] = str) -> int:
    """Take the steps of each way until one fails, say what was found, and return the exit code.

    A step's name begins with its flag. typed: what an error says, in words of the Python API -> in flags.
    """
    failed = 0
    for way in ways:
        for name, step in way:
            try:
                say(f"ok    {name}: {step()}")
            except (SemlinkError, OSError) as error:
                say(f"FAIL  {name}: {re.sub(rf'^{name.split()[0]}:? ', '', typed(str(error)))}")
                failed += 1
                break
    say("all is well" if not failed else f"{failed} of {len(ways)} ways are blocked; mend what says FAIL")
    return int(failed > 0)


def to_peer(address: str, keys: Keys | None, what: str, flag: str) -> list[Step]:
    """Name, port and handshake of a peer. address: parsed; what: the command that should run there.

    Where all is well it is shaken hands with once: a connection that says nothing would be a warning in its log.
    """
    done: list[str] = []

    def port() -> str:
        if not address.startswith("ipc://"):
            with suppress(LinkDown, PeerRejected):
                done.append(_handshake(address, keys, QUICK_S))
                return f"somebody listens at {address.removeprefix('tcp://')}"
        return _port(address, what)

    return [
        (f"{flag} name", lambda: _name(address)),
        (f"{flag} port", port),
        (f"{flag} handshake", lambda: done[0] if done else _handshake(address, keys)),
    ]


def to_listen(address: str, flag: str = "--listen") -> Step:
    """Whether the address can be had."""

    def free() -> str:
        check_free(address)
        return f"{address} is free"

    return f"{flag} port", free


def _name(address: str) -> str:
    if address.startswith("ipc://"):
        return f"{address}, on this host"
    host, port = parts_of(address)
    found = ", ".join(parts_of(one)[0] for one in resolve(host, port))
    if not found:
        raise LinkDown(f"nobody here knows a host {host}: mend the name, the name server or /etc/hosts")
    return f"{host} is {found}"


def _port(address: str, what: str) -> str:
    if address.startswith("ipc://"):
        return "a local socket has none"
    host, port = parts_of(address)
    why = "no address"
    for one in resolve(host, port):
        number = parts_of(one)[0].strip("[]")
        try:
            with socket.create_connection((number, port), PATIENCE_S):
                return f"somebody listens at {number}:{port}"
        except TimeoutError:
            why = f"no answer from {number}:{port} within {PATIENCE_S:g} s: a firewall between, or not the host"
        except ConnectionRefusedError:
            why = (
                f"nothing listens at {number}:{port}: start {what} there; without keys and without --insecure "
                "it is there for its own host only"
            )
        except OSError as error:
            why = f"{number}:{port} cannot be reached: {error.strerror}"
    raise LinkDown(why)


def _handshake(address: str, keys: Keys | None, reach_s: float = PATIENCE_S) -> str:
    """reach_s: how long until somebody takes the connection."""
    context = zmq.Context[zmq.Socket[bytes]]()
    dialer = Dialer(context, "tx", address, keys)
    try:
        began_s = time.monotonic()
        while time.monotonic() - began_s < (PATIENCE_S if dialer.reached else reach_s):
            dialer.serve()
            if dialer.connected:
                return "encrypted, its key is the one that is trusted here" if keys else "in the clear"
            if dialer.refusal:
                raise PeerRejected(dialer.refusal)
            if dialer.suspicion:
                raise PeerRejected(dialer.suspicion + (", or it was started without keys" if keys else ""))
            time.sleep(0.02)
        raise LinkDown("what listens there does not answer: it is stopped, or speaks something else")
    finally:
        dialer.close()
        with suppress(zmq.ZMQError):
            context.destroy(linger=0)
