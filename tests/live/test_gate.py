"""Who gets what over HTTP: other origins nothing, other hosts what they were promised, and control by token alone."""

import pytest

from common.errors import ConfigError
from common.live.gate import LEVELS, OWN_NAMES, Gate, place_of

HERE = ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "10.0.0.7:8000", "LOCALHOST", "127.0.0.1", *sorted(OWN_NAMES)]
FOREIGN = ["evil.example:8000", "evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "", "a b"]


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("path", LEVELS[:2])
def test_this_host_by_its_numbers_and_names_is_served(host: str, path: str) -> None:
    gate = Gate("page")
    assert gate.refusal(path, "GET", {"Host": host}) is None
    assert (
        gate.refusal(path, "GET", {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}) is None
    )


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_that_somebody_else_owns_is_not_led_here(host: str) -> None:
    for level in LEVELS:
        assert (Gate("control").refusal(level, "GET", {"Host": host}) or (0,))[0] == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:8000"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_origin_can_neither_read_nor_control(headers: dict[str, str], method: str) -> None:
    gate = Gate("control")
    held = {"Host": "127.0.0.1:8000", "Authorization": f"Bearer {gate.token}"} | headers
    for level in LEVELS:
        assert (gate.refusal(level, method, held) or (0,))[0] == 403


def test_control_asks_for_the_token_that_was_printed() -> None:
    gate = Gate("control")
    for given in ("", "Bearer ", "Bearer x", gate.token[:-1], f"Bearer {gate.token}x", "Bearer ü"):
        assert (gate.refusal("control", "POST", {"Host": "localhost", "Authorization": given}) or (0,))[0] == 401
    assert gate.refusal("control", "POST", {"Host": "localhost", "Authorization": f"Bearer {gate.token}"}) is None
    assert Gate("control").token != gate.token


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_has_those_before_it_and_no_other(level: str) -> None:
    gate = Gate(level)
    allowed = [gate.refusal(one, "GET", {"Host": "localhost"}) is None for one in LEVELS]
    assert allowed == [LEVELS.index(one) <= LEVELS.index(level) for one in LEVELS]


def test_a_bare_port_is_for_this_host_and_other_addresses_must_be_meant() -> None:
    assert place_of("8000", None, False).host == "127.0.0.1"
    assert place_of("8000", None, False).level == "page"
    assert place_of("[::1]:8000", None, True).level == "control"
    assert place_of("8000", "metrics", False).level == "page"  # which is about other hosts
    for address in ("0.0.0.0:8000", "[::]:8000", "*:8000", "10.0.0.7:8000", "rxhost:8000"):
        with pytest.raises(ConfigError, match="other hosts could reach it; say what they may have"):
            place_of(address, None, False)
        assert place_of(address, "metrics", False).level == "metrics"
        assert place_of(address, "metrics", True).level == "metrics"
        with pytest.raises(ConfigError, match="nothing to control"):
            place_of(address, "control", False)


@pytest.mark.parametrize("wrong", ["", "port", "70000", "1:2:3", "ipc:///tmp/x", "http://x:1", "::1:80"])
def test_what_is_no_address_is_told_as_such(wrong: str) -> None:
    with pytest.raises(ConfigError, match="http"):
        place_of(wrong, "metrics", False)
