"""Text from outside is shown on one line, and moves no cursor."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from common.text import safe, safe_markup

FOREIGN = st.text(st.characters(codec=None) | st.sampled_from("\x1b\x07\n\r\u202e\u2028\udcff[]\\"))


@given(FOREIGN, st.integers(0, 40) | st.none())
def test_whatever_comes_from_outside_is_one_printable_line(text: str, limit: int | None) -> None:
    shown = safe(text, limit)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert limit is None or len(shown) <= 10 * limit + 3


@pytest.mark.parametrize("text", ["Straße", "σ = 0.5", "猫", "a b.png", "\N{CAT FACE}", "C:\\x1b", ""])
def test_letters_of_any_script_stay_as_they_are(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("a\r\nerror: b", "a\\r\\nerror: b"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("caf\udce9", "caf\\udce9"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_what_would_move_the_cursor_is_shown_instead(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_what_is_too_long_says_so() -> None:
    assert safe("x" * 121) == "x" * 120 + "..."
    assert safe("x" * 500, None) == "x" * 500


@given(FOREIGN)
def test_rich_reads_no_markup_in_it(text: str) -> None:
    screen = io.StringIO()
    Console(file=screen, width=10_000, emoji=False, highlight=False).print(safe_markup(text, None), soft_wrap=True)
    assert screen.getvalue() == safe(text, None) + "\n"
