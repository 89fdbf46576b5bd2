"""The three commands, and the faults that happen to them: killed, stopped, cut off, another channel.

Knows nothing about when which fault happens, or what is made of it (`lives.py`).
"""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial

import numpy as np

from common.channel.wire.control import ask
from common.errors import SemlinkError
from training.lab.lives import DEADLINE_MS, Memory, Run, resident
from training.lab.processes import Command, start_emulator, start_receiver
from training.lab.relay import Relay

SAMPLE_S = 0.5
Fault = Callable[[np.random.Generator], bool]
"""Happens, and says whether it hit: False where the process had ended by itself."""


class Soak:
    """The processes, and the faults that happen to them. `flags`: more flags for the receiver."""

    def __init__(self, running: ExitStack, seconds: float, fps: float, flags: tuple[str, ...]) -> None:
        self._fps, self._flags = fps, flags
        self.commands: dict[str, Command] = {}
        self.runs: list[Run] = []
        self._readers: list[threading.Thread] = []
        self.memory: dict[int, Memory] = {}
        self.recovery_s: dict[str, list[float]] = {"scrx": [], "channel-emu": []}
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        running.callback(self._end)
        self.commands["scrx"], self._receiver_port = start_receiver(*flags)
        self.commands["channel-emu"], self._emulator_port = start_emulator(self._receiver_port, "--snr", "10")
        self._relay = running.enter_context(Relay(self._emulator_port))
        for name, live in (("sctx", False), ("sctx --live", True)):
            self._transmit(name, live, round(seconds * fps))

    def faults(self) -> list[tuple[str, Fault]]:
        """Everything that can happen, by name."""
        listed: list[tuple[str, Fault]] = [
            ("network dark", self._cut),
            ("channel changed", self._change),
        ]
        for name in self.commands:
            listed += [(f"kill {name}", partial(self._kill, name)), (f"stop {name}", partial(self._stop, name))]
        return listed

    def wait_for_answers(self, timeout_s: float) -> None:
        """Until both transmitters have had their first answer: no fault is counted before the link stands."""
        until = time.monotonic() + timeout_s
        while not all(run.last_s for run in self.runs):
            if time.monotonic() > until:
                raise SemlinkError(f"no answers within {timeout_s:g} s of the start")
            time.sleep(0.05)
        self._watcher.start()

    def finish(self, timeout_s: float) -> None:
        """No more faults: wait until both transmitters have an outcome for every image, or the time is over."""
        for run in self.runs:
            run.finish(timeout_s)
        for reader in self._readers:
            reader.join(5)
        self._done.set()
        self._watcher.join()

    def _transmit(self, name: str, live: bool, count: int) -> None:
        flags = ("--live", "--deadline-ms", str(DEADLINE_MS)) if live else ()
        peer = f"127.0.0.1:{self._relay.port}"
        command = Command("sctx", "--peer", peer, "--count", str(count), "--fps", f"{self._fps:g}", "--json", *flags)
        self.commands[name] = command
        self.runs.append(Run(command, live, count))
        self._readers.append(threading.Thread(target=self.runs[-1].read))
        self._readers[-1].start()

    def _run_of(self, name: str) -> Run:
        return next(run for run in reversed(self.runs) if run.command is self.commands[name])

    def _kill(self, name: str, _: np.random.Generator) -> bool:
        command = self.commands[name]
        if command.process.poll() is not None:
            return False
        if name.startswith("sctx"):
            run = self._run_of(name)
            run.killed = True
            command.kill()
            self._transmit(name, run.live, max(run.count - len(run.latency_ms), 1))
            return True
        command.kill()
        if name == "scrx":
            self.commands[name] = start_receiver(*self._flags, listen=str(self._receiver_port))[0]
        else:
            again = str(self._emulator_port)
            self.commands[name] = start_emulator(self._receiver_port, "--snr", "10", listen=again)[0]
        self._recover(name)
        return True

    def _recover(self, name: str) -> None:
        """How long after the process was ready again the next answer came; nothing else happens meanwhile."""
        ready, finite = time.monotonic(), self._run_of("sctx")
        while finite.last_s < ready and finite.command.process.poll() is None and time.monotonic() - ready < 30:
            time.sleep(0.01)
        if finite.last_s >= ready:
            self.recovery_s[name].append(finite.last_s - ready)

    def _stop(self, name: str, random: np.random.Generator) -> bool:
        process = self.commands[name].process
        if process.poll() is not None:
            return False
        process.send_signal(signal.SIGSTOP)
        time.sleep(random.uniform(0.1, 2.0))
        process.send_signal(signal.SIGCONT)
        return True

    def _cut(self, random: np.random.Generator) -> bool:
        self._relay.cut()
        time.sleep(random.uniform(0.1, 2.0))
        self._relay.mend()
        return True

    def _change(self, random: np.random.Generator) -> bool:
        control = self.commands["channel-emu"].wait_for(r"control on (\S+)").group(1)
        ask(control, {"op": "set", "parameters": {"snr_db": random.uniform(0.0, 20.0)}}, timeout_s=10.0)
        return True

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_S):
            loads = [run.command for run in list(self.runs) if not run.last_s]  # which is no growth
            names = {c.process.pid: name for name, c in list(self.commands.items()) if c not in loads}
            for pid, (parent, mb) in resident().items():
                name = names.get(pid) or (f"{names[parent]} worker" if parent in names else None)
                if name is not None:
                    memory = self.memory.setdefault(pid, Memory(name))
                    memory.at_s.append(time.monotonic())
                    memory.mb.append(mb)

    def _end(self) -> None:
        self._done.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for command in self.commands.values():
            with suppress(OSError):
                command.process.send_signal(signal.SIGCONT)
            command.stop()
        for reader in self._readers:
            reader.join(30)
