"""The live page in a real browser, with the real processes behind it. Skipped where no Chromium is installed."""

import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.chromium import Browser, found
from tests.integration.conftest import Start
from tests.integration.test_frozen import Turns
from tests.integration.test_seen import http_port
from tests.sctx.films import film
from training.lab.processes import Command

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(900),
    pytest.mark.skipif(found() is None, reason="no Chromium here: apt-get install chromium-headless-shell"),
]
STATE = "document.querySelector('[data-process=\"{}\"]').className"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def live(start: Start) -> dict[str, Command]:
    """The three processes with the shipped pair; the emulator's page watches the others and may move the channel."""
    rx = start("scrx", "--listen", "0", "--http", "0")
    flags = ["--listen", "0", "--control", "0", "--upstream", f"127.0.0.1:{rx.port()}", "--http", "0"]
    first = start("channel-emu", *flags)
    tx = start("sctx", "--peer", f"127.0.0.1:{first.port()}", "--http", "0", "--count", "4000000000", "--fps", "20")
    ports, watch = (first.port(), http_port(first)), []
    for one in (rx, tx):
        watch += ["--watch", f"127.0.0.1:{http_port(one)}"]
    first.stop()
    listen = ["--listen", str(ports[0]), "--http", str(ports[1]), *flags[2:6], *watch, "--http-control"]
    emu = start("channel-emu", *listen)
    return {"scrx": rx, "channel-emu": emu, "sctx": tx}


def address(command: Command) -> str:
    return str(command.wait_for(r"live page at (\S+),").group(1))


def seconds_until(browser: Browser, expression: str) -> float:
    """Seconds that this process was given until then: what shows it is as short of a processor as who waits."""
    with Turns() as turns:
        browser.until(expression, 120.0)
        return turns.seconds


SEEN_ALTHOUGH_HIDDEN = (
    "[...document.querySelectorAll('[hidden]')].filter((one) => one.offsetHeight).map((one) => one.id)"
)


def all_ready(browser: Browser) -> float:
    ready = " && ".join(f"{STATE.format(name)} === 'good'" for name in ("sctx", "channel-emu", "scrx"))
    return seconds_until(browser, ready)


def test_the_whole_link_is_seen_within_five_seconds_and_nothing_outside_is_asked(
    live: dict[str, Command], browser: Browser, tmp_path: Path
) -> None:
    for width in (1600, 400):
        browser.size(width, 900)
        browser.open("about:blank")  # else it is the same page, seen long ago
        browser.open(address(live["channel-emu"]))
        browser.until("document.readyState === 'complete'")
        assert all_ready(browser) < 5.0
        browser.until("document.getElementById('answered').textContent !== '–'")
        browser.until("past.length && LINES.every(([key]) => past[past.length - 1][key] !== null)")
        for name in ("sent", "received", "equalised"):
            browser.until(f"!document.getElementById('{name}').getAttribute('aria-label').includes(' 0 symbols')")
        assert browser.ask("document.getElementById('name').textContent").isdigit()
        assert browser.ask("document.documentElement.scrollWidth") == width
        assert browser.ask(SEEN_ALTHOUGH_HIDDEN) == []
        assert browser.ask("document.getElementById('enrol').offsetHeight") == 0  # nobody allowed it
        browser.picture(tmp_path / f"{width}.png")
        assert (tmp_path / f"{width}.png").stat().st_size > 20_000
    base = address(live["channel-emu"]).partition("#")[0]
    assert {one for one in browser.requests if not one.startswith((base, "data:"))} == set()
    assert browser.errors == []


def test_what_dies_or_hangs_shows_as_dead_within_two_seconds_and_comes_back_by_itself(
    live: dict[str, Command], browser: Browser, start: Start
) -> None:
    browser.open(address(live["channel-emu"]))
    browser.until("document.readyState === 'complete'")
    all_ready(browser)
    for name in ("scrx", "sctx"):
        os.kill(live[name].process.pid, signal.SIGSTOP)
        assert seconds_until(browser, f"{STATE.format(name)} === 'bad'") < 2.5
        os.kill(live[name].process.pid, signal.SIGCONT)
        assert all_ready(browser) < 10.0
    arguments = live["scrx"].arguments
    port, http = live["scrx"].port(), http_port(live["scrx"])
    live["scrx"].kill()
    assert seconds_until(browser, f"{STATE.format('scrx')} === 'bad'") < 2.0
    assert seconds_until(browser, f"{STATE.format('sctx')} === 'warn'") < 3.0
    beside = "getComputedStyle(document.querySelector('#{} h2'), '::after').content"
    assert browser.ask(beside.format("receiver")) == '" · no news of scrx"'
    assert browser.ask(beside.format("answer")) == "none"
    faint = "['sent', 'received', 'equalised'].map((id) => document.getElementById(id).parentNode.className).join()"
    assert browser.ask(faint) == ",stale,stale"
    browser.size(400, 900)  # where what is wrong takes two lines, and a name one
    heights = "[...document.querySelectorAll('#chips b')].map((one) => one.offsetHeight)"
    assert max(browser.ask(heights)) < 2 * min(browser.ask(heights))
    assert browser.ask("document.documentElement.scrollWidth") == 400
    browser.until("/^no newer answer for \\d+ s$/.test(document.getElementById('since').textContent)")
    again = ["--listen", str(port), "--http", str(http), *arguments[4:]]
    start("scrx", *again)
    all_ready(browser)
    browser.until("document.getElementById('since').textContent === ''")
    live["channel-emu"].kill()
    assert seconds_until(browser, f"{STATE.format('channel-emu')} === 'bad'") < 2.0
    assert browser.ask(STATE.format("scrx")) == "warn"  # it may well be there
    assert browser.ask("document.querySelectorAll('section.stale').length") == browser.ask(
        "document.querySelectorAll('section').length"
    )


def test_the_channel_moves_by_keyboard_and_the_loop_is_seen_to_answer(
    live: dict[str, Command], browser: Browser
) -> None:
    browser.open(address(live["channel-emu"]))
    browser.until("document.readyState === 'complete'")
    all_ready(browser)
    browser.until("!document.getElementById('control').hidden")
    assert browser.ask("location.hash") == ""
    assert browser.ask("past[past.length - 1].set") == 10.0
    for _ in range(20):
        if browser.ask("document.activeElement.id") == "snr-in":
            break
        browser.press("Tab")
    assert browser.ask("document.activeElement.id") == "snr-in"
    for _ in range(24):
        browser.press("ArrowLeft")
    browser.until("past[past.length - 1].set === -2")
    browser.until("past[past.length - 1].acted < 4")
    assert browser.ask("document.getElementById('said').textContent") == ""
    assert browser.ask("document.getElementById('described').textContent").startswith("SNR -2 dB")
    browser.ask(
        "for (const [id, value, kind] of [['fading-in', 'block-rayleigh', 'change'], ['snr-in', '9', 'input']]) {"
        " document.getElementById(id).value = value; document.getElementById(id).dispatchEvent(new Event(kind)); }"
    )  # one right after the other: both arrive
    browser.until("past[past.length - 1].set === 9")
    assert "block-rayleigh" in browser.ask("document.getElementById('described').textContent")


def test_a_page_whose_token_is_of_an_earlier_start_says_so_and_takes_a_new_one(
    live: dict[str, Command], browser: Browser, start: Start
) -> None:
    emu = live["channel-emu"]
    browser.open(address(emu))
    browser.until("document.readyState === 'complete'")
    browser.until("!document.getElementById('control').hidden")
    emu.kill()
    again = start("channel-emu", *emu.arguments)
    all_ready(browser)
    browser.ask("document.getElementById('snr-in').dispatchEvent(new Event('input'))")
    browser.until("document.getElementById('control').hidden")
    assert "Open the address that channel-emu printed last" in browser.ask(
        "document.getElementById('no-control').textContent"
    )
    browser.open(address(again))
    browser.until("!document.getElementById('control').hidden")


def test_a_class_is_enrolled_on_the_page_and_answers_are_by_it(start: Start, browser: Browser, tmp_path: Path) -> None:
    rx = start("scrx", "--listen", "0", "--control", "0", "--http", "0", "--http-control")
    browser.size(400, 900)
    browser.open(address(rx))
    browser.until("document.readyState === 'complete'")
    browser.until("!document.getElementById('enrol').hidden")
    assert browser.ask("document.getElementById('no-enrol').hidden")
    said = "document.getElementById('enrol-said').textContent"
    fill = "document.getElementById('enrol-name').value = 'mine'; document.getElementById('enrol').requestSubmit()"
    browser.ask(fill)
    browser.until(f"{said} === 'mine: 0 of 5 pictures'")
    browser.ask("document.getElementById('enrol-go').click()")
    browser.until(f"{said} === 'given up: mine is not enrolled'")
    flags = [
        "--distortion",
        "10",
        "--count",
        "100000",
        "--fps",
        "10",
        "--http",
        "0",
        "--watch",
        f"127.0.0.1:{http_port(rx)}",
    ]
    tx = start("sctx", "--peer", f"127.0.0.1:{rx.port()}", *flags)
    browser.until("document.querySelectorAll('#answers li').length > 0")
    browser.ask(fill)
    browser.until(f"{said}.startsWith('mine is enrolled from 5 pictures')")
    browser.until("document.getElementById('answers').textContent.includes('· enrolled: ')")
    browser.ask(fill)
    browser.until(f"{said}.startsWith(\"not done: 'mine' is enrolled in head 'enrolled' already\")")
    assert browser.ask("document.documentElement.scrollWidth") == 400
    assert browser.errors == []
    browser.open(address(tx))
    browser.until("document.readyState === 'complete'")
    browser.until("document.getElementById('heads').textContent.startsWith('enrolled: ')")
    browser.picture(tmp_path / "enrolled.png")
    assert (tmp_path / "enrolled.png").stat().st_size > 10_000


def test_the_answer_is_drawn_on_the_frames_of_a_video(start: Start, browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    path = film(tmp_path / "clip.mp4", 20, (160, 120))
    rx = start("scrx", "--listen", "0", "--model", "cifar10")
    flags = ["--peer", f"127.0.0.1:{rx.port()}", "--model", "cifar10", "--source", str(path), "--count", "1000000"]
    tx = start("sctx", *flags, "--http", "0", "--fps", "10")
    browser.size(900, 700)
    browser.open(address(tx))
    browser.until("document.readyState === 'complete'")
    browser.until("/^\\w+ \\d+ %$/.test(document.getElementById('drawn').textContent)")
    browser.until("/clip.mp4#\\d+$/.test(document.getElementById('file').textContent)")
    first = browser.ask("document.getElementById('file').textContent")
    browser.until(f"document.getElementById('file').textContent !== '{first}'")
    on_it = "((a, b) => a.left >= b.left && a.right <= b.right && a.bottom <= b.bottom + 1)"
    boxes = "...['drawn', 'picture'].map((id) => document.getElementById(id).getBoundingClientRect())"
    assert browser.ask(f"{on_it}({boxes})")
    assert browser.errors == []
    browser.picture(tmp_path / "video.png")
    assert (tmp_path / "video.png").stat().st_size > 10_000


class Elsewhere(BaseHTTPRequestHandler):
    """A page of somebody else's, with no policy of its own."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def test_a_page_of_another_origin_can_neither_read_nor_control(
    live: dict[str, Command], browser: Browser, elsewhere: str
) -> None:
    emu = address(live["channel-emu"])
    base, _, token = emu.partition("#")
    browser.open(elsewhere)
    browser.until("document.title === 'elsewhere'")
    assert browser.ask(f"fetch('{elsewhere}').then((one) => one.status)") == 200  # it may ask at all
    control = f"Authorization: 'Bearer {token}', 'Content-Type': 'application/json'"
    for how in (
        f"fetch('{base}live.json')",
        f"fetch('{base}metrics')",
        f"fetch('{base}control', {{method: 'POST', headers: {{{control}}}, body: '{{\"snr_db\": -5}}'}})",
    ):
        assert browser.ask(f"{how}.then((one) => one.status, () => 'refused')") == "refused"
    plain = f"fetch('{base}control', {{method: 'POST', mode: 'no-cors', body: '{{\"snr_db\": -5}}'}})"
    browser.ask(f"{plain}.then((one) => one.type, () => 'refused')")  # it may send this, and nobody does what it says
    browser.open(emu)
    browser.until("document.readyState === 'complete'")
    browser.until("past.length > 3")
    assert browser.ask("past[past.length - 1].set") == 10.0
