"""Pictures on standard input through the real processes: a finite stream loses nothing, `--live` may."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.warm import Stem


def jpeg(value: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((30, 40), value, np.uint8)).save(out, "JPEG")
    return out.getvalue()


def send(stem: Stem, port: int, pair: Path, stdin: bytes, *flags: str) -> tuple[int, dict[str, int], str]:
    """Exit code, summary, and what was said."""
    given = ("--peer", f"127.0.0.1:{port}", "--model", str(pair), "--json", "--source", "-")
    done = stem.run("sctx", *given, *flags, stdin=stdin)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])["summary"], done.stderr


PICTURES = [jpeg(k) for k in range(0, 240, 4)]


def test_every_whole_picture_on_standard_input_is_answered(
    chain: Callable[..., int], stem: Stem, tiny_pair: Path
) -> None:
    code, summary, said = send(stem, chain("--snr", "20"), tiny_pair, b"".join(PICTURES)[:-200], "--window", "1")
    assert (code, summary["answered"], summary["skipped"], summary["unreadable"]) == (1, 59, 0, 1), said
    assert "picture 59 on standard input" in said


@pytest.mark.full
def test_where_nothing_is_lost_the_exit_code_is_0(chain: Callable[..., int], stem: Stem, tiny_pair: Path) -> None:
    code, summary, said = send(stem, chain("--snr", "20"), tiny_pair, b"".join(PICTURES))
    assert (code, summary["answered"], summary["skipped"], summary["unreadable"]) == (0, 60, 0, 0), said


@pytest.mark.full
def test_a_live_stream_skips_what_the_link_has_no_time_for(
    chain: Callable[..., int], stem: Stem, tiny_pair: Path
) -> None:
    code, summary, said = send(stem, chain("--snr", "20"), tiny_pair, b"".join(PICTURES), "--live", "--window", "1")
    assert summary["skipped"] > 0
    assert summary["answered"] + summary["skipped"] + summary["expired"] == 60, said
    assert code == 0
