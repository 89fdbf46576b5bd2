"""The audit passes what is sound, of whatever kind, and fails by name what breaks one rule: codec, channel or link."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.channel.spec.spec import ChannelSpec
from common.errors import ConfigError
from common.images.imageset import ImageSet
from common.pair.manifest import Manifest, find_pair
from sctx.settings import Settings
from tests.training import broken_codecs as broken
from training.audit import main
from training.auditing import alike, examine, leaks, over_air
from training.auditing.chance import tells
from training.auditing.examine import CHECKS, Check, audit
from training.auditing.finding import Finding
from training.auditing.headers import SENT, _headers, headers
from training.auditing.opening import Where, of_codec, of_pair, of_system
from training.auditing.pair_codec import PairCodec
from training.auditing.subject import Hear, Subject
from training.lab.loopback import Loopback
from training.systems.bench import Bench
from training.systems.carry import hear
from training.systems.codec import Codec

COUNT, FRAMES = 150, 256
IMAGES, LABELS = broken.TEST.images[:COUNT], broken.TEST.labels[:COUNT]


@pytest.fixture(autouse=True)
def brief(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the frames and one policy, but where a test is `full`."""
    if request.node.get_closest_marker("full") is None:
        monkeypatch.setattr(over_air, "FRAMES", FRAMES)
        monkeypatch.setattr("training.auditing.headers.POLICIES", ("adaptive",))


def subject(make: Callable[[], Codec], over: Hear = hear, **more: Any) -> Subject:
    return Subject("under audit", make, IMAGES, LABELS, pilots=8, hear=over, **more)


def failed(found: list[Finding]) -> set[str]:
    return {one.check for one in found if not one.passed}


OF_CODECS = [check for check in CHECKS if check not in (over_air.noise, over_air.fades, over_air.estimates)]
"""The channel is the same whatever is sent."""


@pytest.mark.parametrize("make", broken.SOUND, ids=lambda make: make.__name__)
def test_what_is_sound_passes(make: Callable[[], Codec]) -> None:
    found = [one for check in OF_CODECS for one in check(subject(make))]
    assert failed(found) == set(), found
    assert len(found) > 15


def here(images: int = COUNT) -> Where:
    return Where("quick", "digits", None, "test", images)


def test_the_shipped_pair_passes() -> None:
    pair, more = of_pair(here())
    found = list(audit(replace(pair, elsewhere=False), more))
    assert failed(found) == set(), found
    assert {"features alone", "logits alone", "headers, adaptive", "other labels"} <= {one.check for one in found}


BROKEN: list[tuple[type[Codec], Check, str]] = [
    (broken.BatchAttention, alike.batches, "symbols alone"),
    (broken.BatchAttention, alike.batches, "symbols beside strangers"),
    (broken.BatchPower, alike.batches, "symbols alone"),
    (broken.BatchPower, leaks.power, "power of each image"),
    (broken.BatchMean, alike.batches, "symbols alone"),
    (broken.LateAttention, alike.batches, "symbols in any order"),
    (broken.LouderWhenTold, leaks.power, "power of each image"),
    (broken.BatchNorm, alike.repeats, "symbols twice"),
    (broken.Beside, alike.batches, "symbols beside strangers"),
    (broken.BatchAnswers, alike.batches, "answers alone"),
    (broken.InTurn, alike.batches, "answers in any order"),
    (broken.Sampling, alike.repeats, "symbols twice"),
    (broken.TorchSampling, alike.repeats, "symbols twice"),
    (broken.SystemSampling, alike.repeats, "symbols twice"),
    (broken.OwnSampling, alike.repeats, "symbols twice"),
    (broken.DropoutLeftOn, alike.repeats, "symbols twice"),
    (broken.SampledAnswers, alike.repeats, "answers twice"),
    (broken.EveryOther, alike.repeats, "symbols twice"),
    (broken.InPower, leaks.power, "label by power"),
    (broken.InLoudPower, leaks.power, "power of each image"),
    (broken.InSilence, leaks.power, "label by silence"),
    (broken.InLength, alike.forms, "form: symbols"),
    (broken.InLayout, alike.forms, "form: symbols"),
    (broken.Remembers, leaks.by_symbols_alone, "label of the image before"),
    (broken.Remembers, leaks.by_symbols_alone, "label out of noise"),
    (broken.Remembers, over_air.falls, "fades tell nothing"),
    (broken.RemembersAll, alike.repeats, "answers without memory"),
    (broken.KnowsTheTest, leaks.by_symbols_alone, "unseen images"),
    (broken.Real, alike.forms, "form: symbols"),
    (broken.NoNumber, alike.forms, "form: symbols"),
    (broken.Scores, alike.forms, "form: answers"),
    (broken.Backwards, over_air.falls, "accuracy falls with SNR"),
]


@pytest.mark.parametrize(("make", "check", "named"), BROKEN, ids=lambda one: getattr(one, "__name__", None))
def test_what_is_broken_fails_by_name(make: type[Codec], check: Check, named: str) -> None:
    assert named in failed(list(check(subject(make))))


CHANNELS: list[tuple[Hear, Check, str]] = [
    (broken.renormalised, over_air.fades, "received power fades"),
    (broken.renormalised_in_secret, over_air.fades, "noise of faded frames"),
    (broken.half_noise, over_air.noise, "noise power, 0 dB"),
    (broken.another_snr, over_air.noise, "SNR told, 0 dB"),
    (broken.one_for_all, over_air.fades, "h for each frame"),
    (broken.h_for_each_symbol, over_air.fades, "one h in a frame"),
    (broken.levelled, over_air.noise, "linear"),
    (broken.fewer_fades, over_air.fades, "received power fades"),
    (broken.no_noise_left, over_air.noise, "noise power, 10 dB"),
    (broken.even_noise, over_air.noise, "noise is Gaussian"),
    (broken.same_noise, over_air.noise, "noise of its own"),
    (broken.renormalised_where_estimated, over_air.estimates, "error of faded frames"),
    (broken.wrong_estimate, over_air.estimates, "SNR estimated"),
]


@pytest.mark.parametrize(("over", "check", "named"), CHANNELS, ids=lambda one: getattr(one, "__name__", None))
def test_a_channel_that_is_none_of_those_that_are_named_fails(over: Hear, check: Check, named: str) -> None:
    found = failed(list(check(subject(broken.Analog, over))))
    assert named in found


def test_a_codec_that_raises_has_not_passed_and_the_audit_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "CHECKS", (alike.batches, leaks.power))
    found = list(audit(subject(broken.OnlyMany)))
    assert "IndexError: needs a batch" in {one.says for one in found if not one.passed}
    assert "power of each image" in {one.check for one in found if one.passed}
    monkeypatch.setattr(broken.OnlyMany, "encode", lambda *_: sys.exit(0))
    assert all("SystemExit: 0" in one.says for one in audit(subject(broken.OnlyMany)) if not one.passed)
    assert not all(one.passed for one in audit(subject(broken.OnlyMany)))


HERE = Path(__file__).with_name("broken_codecs.py")


@pytest.mark.parametrize(("name", "fails"), [("Given", set()), ("Labels", {"other labels"})])
def test_a_codec_that_looks_labels_up_answers_otherwise_where_they_are_others(name: str, fails: set[str]) -> None:
    given, (only,) = of_codec(here(60), f"{HERE}:{name}")
    assert failed(list(only(given))) == fails
    assert failed(list(leaks.by_symbols_alone(given))) == set()  # which its answers alone do not show


@pytest.mark.full
@pytest.mark.parametrize("name", ["label-code", "vfe"])
def test_a_system_of_the_suite_passes(name: str) -> None:
    given, more = of_system(here(), name)
    found = [one for check in (*OF_CODECS, *more) for one in check(replace(given, elsewhere=False))]
    assert failed(found) == set(), found


def test_what_cannot_be_audited_is_refused() -> None:
    assert of_system(here(60), "ours")[0].codec.symbols == 32
    for name, told in (("fano-bound", "no codec"), ("nothing", "--only nothing")):
        with pytest.raises(ConfigError, match=told):
            of_system(here(60), name)
    with pytest.raises(ConfigError, match="--symbols 3 is not a rate"):
        of_pair(here(60), 3)
    with pytest.raises(ConfigError, match="there is no such file"):
        of_codec(here(60), "nothing.py:Codec")


def test_the_command_tells_verdicts_and_fails_where_a_check_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "CHECKS", (alike.forms, leaks.power))
    out = tmp_path / "found.json"
    words = ["--codec", f"{HERE}:Labels", "--images", "60", "--json", str(out)]
    result = CliRunner().invoke(main, words, obj={})
    assert str(result.exception) == "Labels did not pass 1 of 7 checks: other labels"
    document = json.loads(out.read_text())
    assert (document["passed"], document["images"], document["symbols"]) == (False, 60, 16)
    assert [one["check"] for one in document["checks"] if not one["passed"]] == ["other labels"]
    assert {"check", "passed", "number", "allowed", "says"} == document["checks"][0].keys()
    result = CliRunner().invoke(main, ["--codec", f"{HERE}:Given", "--images", "60"], obj={})
    assert (result.exit_code, result.exception) == (0, None)
    for wrong in (["--images", "10"], ["--codec", "a.py:B", "--system", "ours"], ["--symbols", "3"]):
        assert CliRunner().invoke(main, wrong, obj={}).exit_code != 0


class Smuggler(Loopback):
    """A transmitter that says the label by how many symbols it sends."""

    def _features(self, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self.shown = image
        return super()._features(image)

    def _decide(self, air_start: int, now_ns: int) -> Any:
        decision = super()._decide(air_start, now_ns)
        return type(decision)(int(self.shown.sum()) % len(self.manifest.layout.rates), decision.told_snr_db)


class Asker(Smuggler):
    """One that says it by the confidence that it asks for."""

    def _decide(self, air_start: int, now_ns: int) -> Any:
        self._ask_below = int(self.shown.sum()) % 2
        return Loopback._decide(self, air_start, now_ns)


@pytest.mark.parametrize("link", [Smuggler, Asker])
def test_a_header_that_follows_the_image_fails(link: Callable[[Manifest, ChannelSpec, Settings], Loopback]) -> None:
    found = next(headers(subject(partial(PairCodec, "digits")), find_pair("digits"), link))
    assert (found.check, found.passed) == ("headers, adaptive", False)


def test_headers_are_compared_where_the_rate_changes() -> None:
    """Otherwise it would say nothing that they are equal."""
    sent = _headers(Loopback, find_pair("digits"), Settings(stream=0), IMAGES[:SENT])
    assert len({header[6] for header in sent}) > 1


@pytest.mark.parametrize("kinds", [2, 10, 100])
def test_what_is_independent_is_seldom_taken_for_a_message(kinds: int) -> None:
    random = np.random.default_rng(kinds)
    labels = random.integers(0, kinds, COUNT)
    likely = [tells(random.normal(size=COUNT), labels, seed)[1] for seed in range(3)]
    assert max(likely) > 0.01
    assert tells(labels + random.normal(size=COUNT), labels)[1] <= 0.002
    assert tells(np.ones(COUNT), labels) == (0.0, 1.0)


@pytest.mark.full
@pytest.mark.parametrize("pair", ["digits", "cifar10"])
def test_a_shipped_pair_passes_on_pictures_of_any_kind(pair: str) -> None:
    """Whose labels are what the transmitter itself decides."""
    manifest = find_pair(pair)
    size, random = manifest.preprocess, np.random.default_rng(0)
    coarse = random.integers(0, 256, (300, 4, 4, size.channels), np.uint8)
    images = coarse.repeat(size.height // 4, 1).repeat(size.width // 4, 2)
    bench = Bench("quick", manifest, "digits", ImageSet("any", images, np.zeros(300, np.int64), manifest.labels))
    every = Subject(pair, partial(PairCodec, pair), images, bench.tx_decided(), 8, elsewhere=True)
    assert failed(list(audit(every))) == set()


@pytest.mark.full
def test_the_shipped_pair_passes_as_a_whole_and_elsewhere() -> None:
    pair, more = of_pair(here(360))
    found = list(audit(pair, more))
    assert failed(found) == set(), found
    assert {"the same elsewhere", "headers, adaptive", "headers, average", "headers, robust"} <= {
        o.check for o in found
    }


@pytest.mark.full
def test_what_a_process_shares_is_found_by_another_process() -> None:
    assert "the same elsewhere" in failed(list(alike.repeats(subject(broken.RemembersForAll, elsewhere=True))))
    assert not failed(list(alike.repeats(subject(broken.Analog, elsewhere=True))))


@pytest.mark.full
@pytest.mark.parametrize("make", sorted({make for make, *_ in BROKEN}, key=lambda make: make.__name__))
def test_the_whole_audit_fails_whatever_is_broken(make: type[Codec]) -> None:
    assert failed(list(audit(subject(make))))
    assert CHECKS
