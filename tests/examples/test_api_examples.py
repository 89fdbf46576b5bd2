"""The examples of the Python API run, and do what they say."""

import pytest

from tests.examples import loopback


def test_your_own_code_against_both_halves_in_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    opened = loopback.main()
    assert opened[-10.0] < opened[0.0] <= opened[20.0] == 20
    assert capsys.readouterr().out.count("of 20 sevens") == 3
