"""A headless Chromium that a test drives: open a page, ask it, take its picture, see every request. Debian's package.

Speaks the DevTools protocol over two pipes, so that it needs no library. Knows nothing about any page.
"""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Self

NAMES = "chromium-headless-shell", "chromium", "google-chrome"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")


def found() -> str | None:
    """The browser of this host, if it has one: `apt-get install chromium-headless-shell`."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page. requests: every address it asked for; errors: what its console called an error."""

    def __init__(self, folder: Path, dark: bool = False) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._numbers, self._left = count(1), b""
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        words = [str(found()), *FLAGS, f"--user-data-dir={folder}"]

        def place() -> None:
            a, b = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self._process = subprocess.Popen(
            words, preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session = ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def open(self, url: str) -> None:
        """Go there."""
        self._call("Page.navigate", url=url)

    def size(self, width: int, height: int) -> None:
        """As if the window had so many pixels."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def ask(self, expression: str) -> Any:
        """What an expression is in the page; of a promise, what it becomes."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, expression: str, limit_s: float = 20.0) -> float:
        """Wait until an expression is true; how long that took in s."""
        began = time.monotonic()
        while not self.ask(expression):
            assert time.monotonic() - began < limit_s, f"{expression}: {self.ask('document.body.innerText')}"
            time.sleep(0.05)
        return time.monotonic() - began

    def press(self, key: str) -> None:
        """A key of the keyboard, by its name there."""
        codes = {"Tab": 9, "ArrowLeft": 37, "ArrowRight": 39}
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key])

    def picture(self, path: Path) -> None:
        """The page as PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            part = os.read(self._from, 1 << 16)
            assert part, "the browser ended"
            self._left += part
        message, _, self._left = self._left.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        told: dict[str, Callable[[dict[str, Any]], None]] = {
            "Network.requestWillBeSent": lambda given: self.requests.append(given["request"]["url"]),
            "Runtime.exceptionThrown": lambda given: self.errors.append(json.dumps(given["exceptionDetails"])),
            "Log.entryAdded": lambda given: self._log(given["entry"]),
        }
        if (method := event.get("method", "")) in told:
            told[method](event["params"])

    def _log(self, entry: dict[str, Any]) -> None:
        if entry["level"] == "error" and entry["source"] != "network":  # a process that was killed does not answer
            self.errors.append(entry["text"])
