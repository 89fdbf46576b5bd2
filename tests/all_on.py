"""Everything on that a link has beside itself: `pytest -p tests.all_on ...` runs tests so. Knows nothing about them.

Each command that they start shows itself and is looked at (a page that is open, a Prometheus), its control port is
there, its receiver keeps heads, and answers go to a file as well. Commands have it of their environment; a receiver in
Python, whose decoder is no network, asks here.
"""

import http.client
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count, pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TAKEN = {"SCRX_ANSWERS": "1"}
"""Has a receiver in Python hand out its answers, as `scrx` does in any case, and nothing else."""
LOOK_S = 0.2
"""Between two looks of a page; a Prometheus scrapes once in five."""


def environment(folder: Path) -> dict[str, str]:
    """What switches all of it on; `folder` is for what is kept."""
    on = {f"{command}_HTTP": "0" for command in ("SCTX", "CHANNEL_EMU", "SCRX")}
    on |= {f"{command}_JSON_FILE": str(folder / f"{command}.jsonl") for command in ("SCTX", "SCRX")}
    return on | {"CHANNEL_EMU_HTTP_CONTROL": "1", "SCRX_CONTROL": "0", "SCRX_HEADS": str(folder / "heads")}


class Looker:
    """A process that looks at pages. `at`: begin to look at one more, until it is gone."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "tests.all_on"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def at(self, port: int) -> None:
        with suppress(BrokenPipeError):
            assert self.process.stdin is not None
            self.process.stdin.write(f"{port}\n")
            self.process.stdin.flush()

    def close(self) -> int:
        """How often it got an answer, in all."""
        told, _ = self.process.communicate(timeout=60)
        return int(told)


@contextmanager
def shown(rx: Any, given: Mapping[str, str] = os.environ) -> Iterator[None]:
    """A receiver in Python with all that the environment switches on for `scrx`; nothing where that says nothing."""
    if not {"SCRX_HTTP", *TAKEN} & given.keys():
        yield
        return
    from common.console import json_results
    from common.live.asked import faces
    from scrx.cli import _as_line, _exhibit

    words = {"http": given.get("SCRX_HTTP"), "http_public": None, "watch": ()}
    file = Path(given["SCRX_JSON_FILE"]) if "SCRX_JSON_FILE" in given else None
    with faces("scrx", words) as seen, json_results(False, file) as say:
        if seen:
            seen.show(_exhibit(rx))

        def take() -> None:
            for answers in rx.batches():
                if say is not None:
                    say(*map(_as_line, answers))

        threading.Thread(target=take, daemon=True).start()
        yield


def settings(given: Mapping[str, str] = os.environ, **own: Any) -> Any:
    """`scrx.Settings` of its own, and with the control port and the heads that the environment switches on."""
    from scrx.settings import Settings

    if "SCRX_HTTP" in given:
        own |= {"control": given["SCRX_CONTROL"], "heads": Path(given["SCRX_HEADS"])}
    return Settings(**own)


def give_space(folder: Path) -> None:
    """To a pair that has none: heads need what its features look like; that of an untrained pair is as good as any."""
    import numpy as np

    from common.pair.manifest import find_pair
    from scrx.heads.space import FILE, FORMAT, About, Space

    if (folder / FILE).exists():
        return
    pair, one = find_pair(folder), np.ones(1, np.float32)
    mean, white = np.zeros((1, pair.features), np.float32), np.eye(pair.features, dtype=np.float32)[None]
    about = About(FORMAT, pair.id, pair.name, "nothing", (), (1.0,), (0.01,))
    (folder / FILE).write_bytes(Space(about, mean, white, one, 10 * one, one, np.zeros((1, 1, 1), np.float32)).packed())


def pytest_configure(config: Any) -> None:
    """The plug-in: everything on in all that is started, and looked at as soon as it says where."""
    import tempfile

    from training.lab.processes import Command

    folder = tempfile.TemporaryDirectory(prefix="all-on-")
    os.environ |= environment(Path(folder.name))
    looker, wait, begin, numbers = Looker(), Command._read_errors, Command.__init__, count()

    def begin_with_space(self: Command, name: str, *arguments: str) -> None:
        os.environ["SCRX_HEADS"] = str(Path(folder.name) / f"heads-{next(numbers)}")  # each receiver has its own
        for flag, word in pairwise(arguments):
            if name == "scrx" and flag == "--model" and Path(word).is_dir():
                give_space(Path(word))
        begin(self, name, *arguments)

    def look_and_read(self: Command) -> None:
        def look() -> None:
            with suppress(Exception):  # it may end before it is there
                looker.at(int(self.wait_for(r"live page at http://127\.0\.0\.1:(\d+)/").group(1)))

        threading.Thread(target=look, daemon=True).start()
        wait(self)

    Command.__init__, Command._read_errors = begin_with_space, look_and_read  # type: ignore[method-assign]

    def end() -> None:
        print(f"everything on: {looker.close()} looks were answered")
        folder.cleanup()

    config.add_cleanup(end)


def look(ports: Iterator[str]) -> int:
    """Look at the pages of these ports; how many answers came until there are no more ports and no more pages."""
    over, counted, looking = threading.Event(), [0], list[threading.Thread]()

    def at(port: int) -> None:
        turn, missed = 0, 0
        while not over.is_set() and missed < 5:
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                while not over.wait(LOOK_S):
                    for path in ("/live.json", "/metrics")[: 1 + (turn % 5 == 0)]:
                        connection.request("GET", path)
                        counted[0] += len(connection.getresponse().read()) > 100
                    turn, missed = turn + 1, 0
            missed += 1
            time.sleep(LOOK_S)

    for line in ports:
        looking.append(threading.Thread(target=at, args=(int(re.sub(r"\D", "", line)),), daemon=True))
        looking[-1].start()
    over.set()
    for thread in looking:
        thread.join(5)
    return counted[0]


if __name__ == "__main__":
    print(look(iter(sys.stdin)), flush=True)
    os._exit(0)  # whatever threads that still look are about
