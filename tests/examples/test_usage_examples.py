"""The examples of using the project do what they say, in one process where a person would start several."""

import json
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from common.errors import ConfigError
from common.images.datasets import load_for, load_images
from common.pair.manifest import find_pair
from scrx import Receiver
from sctx import Capture, Settings, Transmitter
from sctx.cli import _as_line
from sctx.outcomes import Summary
from sctx.rate.policy import RULES
from tests.examples import baseline, evaluate_pair, metric, own_halves, policy, read_json, receive, send_image
from training.lab.loopback import Loopback

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """What `sctx --json` prints for 40 digits."""
    digits = load_for(find_pair("digits"), "digits", "test")
    summary, printed = Summary(0), []
    with Receiver("127.0.0.1:0") as rx, Transmitter(rx.address) as tx:
        for answer in tx.run(Capture(index, digits.images[index], None, 0) for index in range(40)):
            label = int(digits.labels[answer.index])
            summary.add(answer, label)
            printed.append(json.dumps(_as_line(answer, label, None)))  # type: ignore[arg-type]
    return [*printed, json.dumps({"summary": summary.as_dict()})]


def test_a_picture_that_is_sent_is_answered_and_a_receiver_of_ones_own_counts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = load_for(find_pair("digits"), "digits", "test")
    picture = tmp_path / "digit.png"
    Image.fromarray(digits.images[0, ..., 0]).resize((80, 80)).save(picture)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    counted: list[Counter[str]] = []
    receiving = threading.Thread(target=lambda: counted.append(receive.main(address, 1)))
    receiving.start()
    answer = send_image.main(address, str(picture))
    receiving.join(30)
    assert counted == [Counter({answer.name: 1})]
    assert answer.name == str(digits.labels[0])
    assert f"{answer.name} (" in capsys.readouterr().out


def test_answers_are_read_and_told_apart_by_their_confidence(lines: list[str]) -> None:
    found = read_json.main(lines)
    assert len(found["sure"]) + len(found["unsure"]) == found["summary"]["answered"] == 40
    assert sum(found["sure"]) + sum(found["unsure"]) == found["summary"]["correct"] >= 38


def test_a_metric_of_ones_own_takes_the_same_lines(lines: list[str]) -> None:
    name, share = metric.main(lines)
    assert name.isdecimal()
    assert 0.5 <= share <= 1.0
    shares = metric.by_class([1, 1, 2, 3], [1, 2, 2, 3])
    assert {label: share for label, (share, *_) in shares.items()} == {1: 1.0, 2: 0.5, 3: 1.0}


def test_a_pair_is_evaluated_and_noise_costs_uses() -> None:
    (_, low, many), (_, high, few) = evaluate_pair.main("digits", 0.0, 20.0, images=60)
    assert low <= high
    assert many > 2 * few > 20  # 10 at least: 2 symbols and 8 pilots


def test_the_label_in_the_best_code_is_as_theory_says() -> None:
    assert baseline.told_right(-60.0, 16) == pytest.approx(0.1, abs=1e-3)  # nothing heard: one in ten
    assert baseline.told_right(0.0, 1, labels=2) == pytest.approx(0.9214, abs=1e-4)  # antipodal: 1 - Q(sqrt 2)
    assert baseline.main(88.1, 16, -6.0, -3.0) == pytest.approx([79.4, 87.2], abs=0.05)
    with pytest.raises(ValueError, match="9 real dimensions"):
        baseline.told_right(0.0, 4)


def test_halves_of_ones_own_meet_over_a_real_link(capsys: pytest.CaptureFixture[str]) -> None:
    assert own_halves.main(40) > 0.6
    assert "of 40 digits are right" in capsys.readouterr().out


def test_a_policy_of_ones_own_chooses_the_rate_and_is_held_to_the_ladder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = policy.main(30)
    fewest, most = (found["thresholds", snr_db][1] for snr_db in (20.0, 0.0))
    assert fewest < most <= found["robust", 0.0][1]
    assert found["thresholds", 20.0][0] > 0.9
    assert "thresholds:" in capsys.readouterr().out
    monkeypatch.setitem(RULES, "too far", lambda belief, rates, goal, last: len(rates))
    with (
        Loopback("digits", settings=Settings(policy="too far")) as link,
        pytest.raises(ConfigError, match="too far is 5"),
    ):
        link.send(load_images("digits", "test").images[0])
    with pytest.raises(ConfigError, match="policy 'unheard of'"):
        Settings(policy="unheard of")
