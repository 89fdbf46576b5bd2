"""Results in a file that somebody puts away meanwhile: every line is in exactly one file, whole."""

import errno
import json
import math
import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common import console
from common.console import JsonFile, check_json_file, json_results
from common.errors import ConfigError


def renamed(path: Path, turn: int) -> None:
    path.rename(path.with_suffix(f".{turn}"))


def renamed_and_made_anew(path: Path, turn: int) -> None:
    renamed(path, turn)
    path.touch()


def copied_and_cut(path: Path, turn: int) -> None:
    shutil.copy(path, path.with_suffix(f".{turn}"))
    os.truncate(path, 0)


def folder_moved(path: Path, turn: int) -> None:
    path.parent.rename(path.parent.with_name(f"old{turn}"))


def lines(folder: Path) -> list[int]:
    found = [line for path in sorted(folder.rglob("*")) if path.is_file() for line in path.read_text().splitlines()]
    return sorted(json.loads(line)["k"] for line in found)


@pytest.mark.parametrize("put_away", [renamed, renamed_and_made_anew, copied_and_cut, folder_moved])
def test_no_line_is_lost_or_twice_however_the_file_is_put_away(
    tmp_path: Path, put_away: Callable[[Path, int], None]
) -> None:
    path = tmp_path / "now" / "answers.jsonl"
    file = JsonFile(path)
    for k in range(12):
        file.say({"k": k})
        if k % 4 == 3:
            put_away(path, k)
    file.say({"k": 12})
    file.close()
    assert lines(tmp_path) == list(range(13))
    assert len(path.read_text().splitlines()) == 1


def test_a_file_that_is_removed_is_made_again(tmp_path: Path) -> None:
    file = JsonFile(tmp_path / "a")
    file.say({"k": 0})
    (tmp_path / "a").unlink()
    file.say({"k": 1})
    file.close()
    assert lines(tmp_path) == [1]


def test_where_a_new_one_cannot_be_opened_that_is_told_and_the_old_one_is_closed_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = JsonFile(path)
    file.say({"k": 0})
    path.rename(tmp_path / "old")
    path.mkdir()
    with pytest.raises(IsADirectoryError, match=f"Is a directory: '{path}'"):
        file.say({"k": 1})
    file.close()
    assert lines(tmp_path) == [0]


@pytest.mark.parametrize("before", ["", '{"k": 0}\n', '{"k": 0}\n{"k'])
def test_what_is_there_stays_and_half_a_line_spoils_none(tmp_path: Path, before: str) -> None:
    (tmp_path / "a").write_text(before)
    file = JsonFile(tmp_path / "a")
    file.say({"k": 1})
    file.close()
    assert (tmp_path / "a").read_text() == before + ("\n" if before and before[-1] != "\n" else "") + '{"k": 1}\n'


def test_several_lines_are_written_at_once_and_all_go_to_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thread that writes each by itself is in the way of the one that decodes (`deploy/LINK.md`)."""
    path, writes, write = tmp_path / "a", list[bytes](), os.write
    with json_results(True, path) as say:
        assert say is not None
        say({"k": 0})
        path.rename(tmp_path / "old")
        monkeypatch.setattr(os, "write", lambda file, text: writes.append(text) or write(file, text))
        say({"k": 1}, {"k": 2}, {"k": 3})
        monkeypatch.undo()
    assert writes == [b'{"k": 1}\n{"k": 2}\n{"k": 3}\n']
    assert (lines(tmp_path), path.read_bytes()) == ([0, 1, 2, 3], writes[0])
    assert capsys.readouterr().out == '{"k": 0}\n{"k": 1}\n{"k": 2}\n{"k": 3}\n'


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_a_full_disk_is_told_with_the_name_of_the_file() -> None:
    file = JsonFile(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        file.say({})
    file.close()


@pytest.mark.parametrize("together", [1, 3])
def test_a_file_that_is_full_holds_whole_lines(tmp_path: Path, together: int) -> None:
    file, before = JsonFile(tmp_path / "a"), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (95, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*/a"):  # noqa: PT012
            for k in range(0, 99, together):
                file.say(*({"k": k + more} for more in range(together)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        file.close()
    assert (tmp_path / "a").read_text().endswith("}\n")
    assert lines(tmp_path) == list(range(10))  # of 9 bytes each; 95 hold half of the next


def test_what_somebody_else_wrote_behind_half_a_line_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, write, other = JsonFile(tmp_path / "a"), os.write, b'{"k": 7}\n'

    def full(number: int, text: bytes) -> int:
        if len(text) < 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(number, text[:5])
        with (tmp_path / "a").open("ab") as somebody:
            somebody.write(other)
        return done

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match=r"No space left on device: .*/a"):
        file.say({"k": 1})
    monkeypatch.undo()
    file.close()
    assert (tmp_path / "a").read_bytes() == b'{"k":' + other


def test_half_a_line_in_a_pipe_is_not_taken_back(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = JsonFile(tmp_path / "pipe")
    os.set_blocking(file._file, False)
    with pytest.raises(OSError, match=r"Resource temporarily unavailable: .*/pipe"):
        file.say({"k": "x" * (1 << 20)})
    file.close()
    os.close(reader)


def test_results_go_to_a_file_to_standard_output_or_to_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for on_output in (False, True):
        for path in (None, tmp_path / f"{on_output}"):
            with json_results(on_output, path) as say:
                assert (say is None) == (not on_output and path is None)
                if say is not None:
                    say({"k": 1})
            assert capsys.readouterr().out == '{"k": 1}\n' * on_output
            assert path is None or path.read_text() == '{"k": 1}\n'


def say_all(path: Path | None) -> None:
    with json_results(True, path) as say:
        assert say is not None
        say({"k": 0})
        say({"k": 1}, {"k": 2})


@pytest.mark.parametrize(("asked_s", "after"), [(-math.inf, [0]), (1.0, [0, 1, 2])])
def test_a_process_that_is_to_end_writes_the_file_to_the_end_and_then_tells_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_s: float, after: list[int]
) -> None:
    tried = list[int]()

    def fail(value: dict[str, int]) -> None:
        tried.append(value["k"])
        raise OSError(errno.ETIMEDOUT, "nobody read it")

    monkeypatch.setattr(console, "say_json", fail)
    monkeypatch.setattr(console, "asked_for_s", lambda: asked_s)
    with pytest.raises(OSError, match="nobody read it"):
        say_all(tmp_path / "a")
    assert (lines(tmp_path), tried) == (after, [0])
    with pytest.raises(OSError, match="nobody read it"):
        say_all(None)
    assert tried == [0, 0], "there is no file to go on with"


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="no logrotate here: apt-get install logrotate")
def test_logrotate_needs_no_signal(tmp_path: Path) -> None:
    path, how = tmp_path / "log" / "answers.jsonl", tmp_path / "how"
    file = JsonFile(path)
    how.write_text(f"{path} {{\n rotate 9\n nocreate\n su {os.getuid()} {os.getgid()}\n}}\n")
    how.chmod(0o600)
    for k in range(6):
        file.say({"k": k})
        if k % 2:
            subprocess.run(["logrotate", "--force", "--state", tmp_path / "state", how], check=True)
    file.say({"k": 6})
    file.close()
    assert lines(path.parent) == list(range(7))
    assert len(list(path.parent.iterdir())) == 4


def test_a_check_says_what_would_come_of_it_and_writes_nothing(tmp_path: Path) -> None:
    assert check_json_file(tmp_path / "new" / "a").endswith("can be written")
    assert not list(tmp_path.iterdir())
    there = tmp_path / "there"
    there.write_text("half a line")
    os.utime(there, (0, 0))
    assert "what comes is added" in check_json_file(there)
    assert (there.read_text(), there.stat().st_mtime) == ("half a line", 0.0)
    with pytest.raises(ConfigError, match="is a folder: give the name of a file"):
        check_json_file(tmp_path)


@pytest.mark.parametrize("target", ["nowhere/a", "link"])
def test_a_link_to_nothing_is_refused_with_what_to_do(tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(ConfigError, match=r"link is a link to nothing: give the name of a file, or make the folder"):
        check_json_file(tmp_path / "link")


def test_a_link_to_a_file_that_is_not_there_yet_makes_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert check_json_file(tmp_path / "link").endswith("can be written")


def test_at_a_start_a_file_that_may_not_be_written_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Any, *how: Any, **more: Any) -> int:
        if path == tmp_path / "a":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        return opened(path, *how, **more)

    (tmp_path / "a").touch()
    opened = os.open
    monkeypatch.setattr(os, "open", refuse)
    for start in (check_json_file, lambda path: json_results(False, path).__enter__()):
        with pytest.raises(ConfigError, match=r"/a cannot be written: Operation not permitted; give another file"):
            start(tmp_path / "a")


def test_a_check_finds_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=31 << 20))
    with pytest.raises(ConfigError, match=r"has 31 MiB left, and .* may need 32: make room first"):
        check_json_file(tmp_path / "a")
