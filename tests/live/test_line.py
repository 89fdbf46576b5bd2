"""What a person sees of a run: one line that fits the terminal and says how the link is now."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from rich.console import Console

from common import log
from common.channel.spec.spec import ChannelSpec
from common.channel.wire.proxy import Proxy
from common.channel.wire.vitals import told as emulator_told
from common.live.line import Line
from scrx.vitals import told as receiver_told
from sctx.outcomes import Answer, Missed, Summary


class Screen(io.StringIO):
    """A terminal that keeps what is drawn."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue()))


class Terminal(io.TextIOWrapper):
    """The same with bytes below, as standard output has them."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        screen = Screen()
        screen.write(self.buffer.getvalue().decode())
        return screen.lines()


def rows_of(drawn: str, width: int) -> list[str]:
    """What stands on a terminal, row by row, after what was written to it; a full row breaks before the next letter."""
    rows, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", drawn):
        if piece == "\r":
            column = 0
        elif piece == "\n":
            row += 1
        elif piece.startswith("\x1b"):
            row -= int(piece[2:-1] or 1) if piece.endswith("A") else 0
            rows[row] = "" if piece.endswith("K") else rows[row]
        else:
            row, column = (row + 1, 0) if column == width else (row, column)
            rows += [""] * (row + 1 - len(rows))
            rows[row] = rows[row][:column].ljust(column) + piece + rows[row][column + 1 :]
            column += 1
        rows += [""] * (row + 1 - len(rows))
    return rows


def a_run(losses: int = 0) -> Summary:
    summary = Summary(stream=1)
    for index in range(1234):
        summary.add(Answer(index, 1, "1", 0.9, {}, 32, 40, -12.34567, 123.456, 0, {}, "", 0), 1)
    for index in range(losses):
        summary.add(Missed(index, "failed"), None)
    return summary


def line_of(summary: Summary, console: Console | None = None, up: Callable[[], bool] = lambda: True) -> Line:
    """As `sctx` makes it."""
    return Line(
        lambda: ("link up", True) if up() else ("link down", False), summary.told, lambda: summary.sent, 10_000, console
    )


def shown(width: int, summary: Summary, up: bool = True) -> str:
    screen = Screen()
    console = Console(file=screen, force_terminal=True, width=width, legacy_windows=False)
    with line_of(summary, console, lambda: up):
        pass
    return next(line for line in reversed(screen.lines()) if line.strip())


def test_a_line_of_80_columns_holds_everything() -> None:
    line = shown(80, a_run())
    assert len(line.rstrip()) <= 80
    for words in ("1234/10000", "link up", "accuracy 100.0 %", "32.0 symbols", "SNR -12.3 dB", "p50 123 ms"):
        assert words in line


def test_the_line_of_a_receiver_and_of_an_emulator_fits_80_columns_too() -> None:
    newest = SimpleNamespace(snr_inst_db=-12.34567, decode_us=123_456)
    link = SimpleNamespace(protocol_errors=Counter())
    rx: Any = SimpleNamespace(answered=1_234_567, expired=0, failed=0, link=link, newest=newest, queue_depth=12)
    channel = SimpleNamespace(spec=ChannelSpec(snr_db=-12.5, fading="rayleigh"), tracks=[1] * 64)
    wire: Any = Mock(spec=Proxy, channel=channel, counts=Counter(data=123_456, passed=123_460, returned=123_456))
    for state, told, words in (
        ("64 transmitters", receiver_told(rx), ["answered 1234567", "SNR -12.3 dB", "queue 12"]),
        ("link up", emulator_told(wire), ["data 123456", "SNR -12.5 dB", "talkers 64"]),
    ):
        line = drawn(state, told)
        assert len(line.rstrip()) <= 80
        for word in (state, *words):
            assert word in line


def drawn(state: str, told: str) -> str:
    screen = Screen()
    console = Console(file=screen, force_terminal=True, width=80)
    with Line(lambda: (state, True), lambda: told, console=console):
        pass
    return next(line for line in reversed(screen.lines()) if line.strip())


def test_a_wide_line_has_a_bar_and_the_time_that_is_left() -> None:
    line = shown(120, a_run())
    assert "━" in line
    assert re.search(r"\d:\d\d:\d\d|-:--:--", line)
    assert "p50 123 ms" in line


def test_what_was_lost_is_told_and_hides_nothing() -> None:
    summary = a_run(losses=3)
    summary.expired, summary.skipped = 123, 4567
    screen = Screen()
    with line_of(summary, Console(file=screen, force_terminal=True, width=80)):
        pass
    drawn = " ".join(" ".join(screen.lines()[-3:]).split())
    for words in ("5927/10000", "link up", "lost 3", "expired 123", "skipped 4567", "accuracy 100.0 %", "p50 123 ms"):
        assert words in drawn
    assert "…" not in drawn


def test_no_number_is_parted_from_its_name_where_it_takes_two_lines() -> None:
    summary = a_run(losses=3)
    summary.expired, summary.skipped = 123, 4567
    for width in range(44, 100):
        screen = Screen()
        with line_of(summary, Console(file=screen, force_terminal=True, width=width)):
            pass
        for words in ("lost 3", "expired 123", "skipped 4567", "accuracy 100.0 %", "32.0 symbols", "p50 123 ms"):
            assert any(words in line for line in screen.lines()), (width, screen.lines()[-9:])


def test_what_a_terminal_puts_there_for_ctrl_c_leaves_no_second_line() -> None:
    for losses in (0, 3):
        for width in range(44, 121):
            screen = Screen()
            with line_of(a_run(losses), Console(file=screen, force_terminal=True, width=width)) as line:
                line.refresh()
                line._progress.refresh()
                screen.write("^C")
            rows = rows_of(screen.getvalue().replace("\n", "\r\n"), width)
            assert sum("link up" in row for row in rows) == 1, (width, rows)
            assert not any("^C" in row for row in rows), (width, rows)


def test_how_it_is_stands_apart_from_what_is_told() -> None:
    assert "link up  accuracy" in shown(80, a_run())
    assert "link down  accuracy" in shown(81, a_run(), up=False)


def test_before_the_first_answer_nothing_is_made_up() -> None:
    line = shown(80, Summary(stream=1))
    assert "None" not in line
    assert "0/10000" in line


def test_a_link_that_goes_down_is_told_although_no_answer_comes() -> None:
    screen, up = Screen(), [True]
    with line_of(a_run(), Console(file=screen, force_terminal=True, width=80), lambda: up[0]):
        up[0] = False
        until = time.monotonic() + 10
        while not any("link down" in line for line in screen.lines()) and time.monotonic() < until:
            time.sleep(0.05)
        assert any("link down" in line for line in screen.lines())


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    pipe = io.StringIO()
    with line_of(a_run(), Console(file=pipe)):
        pass
    assert pipe.getvalue() == ""


def test_nothing_is_drawn_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()
    with line_of(a_run(), Console(file=screen)) as line:
        line.refresh()
    assert screen.getvalue() == ""


LINE = """
from common.live.line import Line
with Line(lambda: ("link up", True), lambda: "accuracy 100.0 %") as line:
    line.refresh()
"""
SHELL = """
import fcntl, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY)
for group in (None, 0):
    subprocess.run([sys.executable, "-c", sys.argv[1]], process_group=group, check=True)
    print("done")
"""


def test_nothing_is_drawn_where_a_shell_has_the_command_in_the_background() -> None:
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        [sys.executable, "-c", SHELL, LINE], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # of a terminal that nobody has any more
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert shell.wait(60) == 0, shown
    before, after = shown.decode().split("done")[:2]
    assert "link up" in before
    assert before.rfind("\x1b[?25h") > before.rfind("\x1b[?25l")  # and the cursor is there
    assert "link up" not in after


def test_what_is_told_and_logged_does_not_run_into_the_line_that_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, root = Terminal(), logging.getLogger()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setenv("TERM", "xterm")
    log.terminal.cache_clear()
    try:
        log.set_up("warning")
        with line_of(a_run()) as line:
            logging.getLogger("test").warning("something_happened")
            line.tell("a/photo.jpg: frog, 88 %")
    finally:
        log.terminal.cache_clear()
    for words in ("something_happened", "a/photo.jpg: frog, 88 %"):
        (told,) = [told for told in screen.lines() if words in told]
        assert "link up" not in told
    assert any("link up" in line for line in screen.lines())
