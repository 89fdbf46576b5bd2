"""`--check`: looks at all that must be right before a command works, and says a line each with what to do.

A step gives what it found, or raises what is wrong and how that is mended. What a running process of the same kind has
already is no fault: it is noted. Knows nothing about any command.
"""

import re
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress

import zmq

from common.console import say
from common.errors import ConfigError, LinkDown, PeerRejected, ProtocolError, SemlinkError
from common.protocol.frames import ask_who, decode, encode
from common.protocol.messages import Kind, Nak, NakCode
from common.transport.claimed import check_free, held
from common.transport.dialer import Dialer
from common.transport.endpoints import host_of, is_here, parts_of, resolve
from common.transport.keystore import Keys
from common.transport.waiting.io_threads import check_files, make_context

Step = tuple[str, Callable[[], str]]
PATIENCE_S, QUICK_S = 3.0, 0.5
ANSWERS = {NakCode.BAD_SYMBOLS: "channel-emu", NakCode.NO_SESSION: "scrx"}
"""How a process answers who asks what is there."""


class Note(str):
    """What a step found that is neither well nor a fault."""


def holds(look: Callable[[], object]) -> bool:
    """Whether something that others need is well; what is wrong with it a step of its own says."""
    try:
        look()
    except (SemlinkError, OSError):
        return False
    return True


def examine(ways: Iterable[Iterable[Step]], typed: Callable[[str], str] = str) -> int:
    """Take the steps of each way until one fails, say what was found, and return the exit code.

    A step's name begins with its flag. typed: what an error says, in words of the Python API -> in flags.
    Raises ConfigError where nothing could work (`check_files`).
    """
    check_files()
    taken = failed = 0
    for way in ways:
        for name, step in way:
            taken += 1
            try:
                found = step()
                say(f"{'note' if isinstance(found, Note) else 'ok  '}  {name}: {found}")
            except (SemlinkError, OSError) as error:
                say(f"FAIL  {name}: {re.sub(rf'^{name.split()[0]}:? ', '', typed(_words(error)))}")
                failed += 1
                break
    say("all is well" if not failed else f"{failed} of {taken} checks failed; mend what says FAIL")
    return int(failed > 0)


def _words(error: Exception) -> str:
    """As a start says it that ends with this error."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


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


class Home:
    """Where a process is to listen, and whether one of the same kind is at home there already.

    what: the command, `channel-emu` or `scrx`.
    """

    def __init__(self, what: str) -> None:
        self._what, self._lived_in = what, False
        self._free: str | None = None

    def port(self, find: Callable[[], str], keys: Callable[[], Keys | None]) -> Step:
        """Whether an address can be had, or is had by one of the same kind. Before all steps of `own`.

        find: gives the address, parsed, or raises what is wrong with it.
        """

        def free() -> str:
            address = find()
            try:
                check_free(address)
            except ConfigError:
                self._lived_in = who_is_at(address, keys()) == self._what
                if not self._lived_in:
                    raise
                return Note(f"{self._what} runs at {address} already")
            self._free = address
            return f"{address} is free"

        return "--listen port", free

    def own(self, name: str, look: Callable[[], str]) -> Step:
        """A step about what one that runs there has for itself alone: then it is not looked at.

        Otherwise the port is held meanwhile, which cannot be had twice.
        """

        def guarded() -> str:
            if self._lived_in:
                return Note(f"not looked at: the {self._what} that runs there may have it")
            with nullcontext() if self._free is None else held(self._free):
                return look()

        return name, guarded


def who_is_at(address: str, keys: Keys | None) -> str:
    """`channel-emu` or `scrx`, where one is heard at a listening address of this host; "" where none is."""
    host = host_of(address)
    if host and host != "*" and not is_here(address):  # whoever is there is on another host
        return ""
    if host in ("*", "0.0.0.0", "::"):
        host, address = "127.0.0.1", f"tcp://127.0.0.1:{parts_of(address)[1]}"
    if keys is not None:  # what listens on this host has this host's key, by whatever address
        keys = Keys(keys.folder)
        keys.trusted[host] = keys.own.public
    context = make_context()
    dialer = Dialer(context, "tx", address, keys)
    try:
        return _asked(dialer)
    finally:
        dialer.close()
        context.destroy(linger=0)


def _asked(dialer: Dialer) -> str:
    question, until_s = ask_who(secrets.randbits(32)), time.monotonic() + PATIENCE_S
    asked = False
    while time.monotonic() < until_s and not (dialer.refusal or dialer.suspicion):
        dialer.serve()
        if dialer.connected and not asked:
            with suppress(zmq.Again):
                dialer.socket.send_multipart(encode(question), zmq.NOBLOCK)
                asked = True
        for parts in dialer.inbox.take(1):
            with suppress(ProtocolError):
                answer = decode(parts, (Kind.NAK,))
                if isinstance(answer, Nak) and (answer.session, answer.seq) == (question.session, question.seq):
                    return ANSWERS.get(answer.code, "")
        time.sleep(0.02)
    return ""


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
    context = make_context()
    dialer = Dialer(context, "tx", address, keys)
    try:
        began_s = time.monotonic()
        while time.monotonic() - began_s < (PATIENCE_S if dialer.reached else reach_s):
            dialer.serve()
            if dialer.connected:
                return "encrypted, its key is the one that is trusted here" if keys else "in the clear"
            if dialer.refusal:
                raise PeerRejected(dialer.refusal)
            time.sleep(0.02)
        if dialer.suspicion:  # what is sure would have been told by now
            raise PeerRejected(dialer.suspicion + (", or it was started without keys" if keys else ""))
        raise LinkDown("what listens there does not answer: it is stopped, or speaks something else")
    finally:
        dialer.close()
        with suppress(zmq.ZMQError):
            context.destroy(linger=0)
