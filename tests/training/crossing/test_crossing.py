"""What is decided over real sockets is what was decided without: the same samples, the same answers, or it is told."""

import io
import json
import re
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from common.channel.spec.spec import CHANNEL, ChannelSpec
from common.errors import ConfigError, ModelError, PeerRejected, SemlinkError
from training import evaluate
from training.crossing import comparing, half, link_of_three
from training.crossing.comparing import Crossed, cross, show
from training.crossing.half import Half
from training.crossing.link_of_three import LinkOfThree, flags_of
from training.crossing.of_suites import SuiteSubject
from training.crossing.subjects import PairSubject, questions_of
from training.lab.evaluation import Setting
from training.lab.processes import Command
from training.suites.definitions import SUITES, Suite

pytestmark = pytest.mark.usefixtures("one_thread")
SETTING = Setting("block-rayleigh", "estimated", 3.0, 8, 1, 7, 5, 0.0, 3.0)
AT = {"n": 8, "snr_db": 3.0, "stream": 0}
PAIR = PairSubject("digits", "digits", "test", 30)


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Nearby(Half):
    """An end in this process, spoken to as if it were in another."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role, self._replies = role, io.StringIO()

    def say(self, **request: object) -> None:
        self._replies = io.StringIO()
        half.serve(self, io.StringIO(json.dumps(request)), self._replies)

    def hear(self) -> dict[str, object]:
        return link_of_three.understood(self.role, self._replies.getvalue())

    def ask(self, **request: object) -> dict[str, object]:
        self.say(**request)
        return self.hear()

    alive = True

    def stop(self) -> None:
        if self._receiver is not None:
            self._receiver.close()


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends in this process, over real sockets all the same; the emulator is its own command."""
    monkeypatch.setattr(link_of_three, "Half", Nearby)


@pytest.mark.usefixtures("nearby")
def test_a_pair_decides_over_the_link_what_it_decides_directly() -> None:
    moving = replace(SETTING, channel="rayleigh", doppler=1e-3, told_db=float("nan"))
    found = cross(("pair", asdict(PAIR)), PAIR, questions_of([moving, replace(SETTING, channel="awgn", csi="known")]))
    assert (found[0].verdict, found[0].images) == ("identical", 30)
    assert found[1].reason == "a link has to estimate its channel, so csi known is measured without one"


@pytest.mark.full
@pytest.mark.usefixtures("nearby")
def test_another_seed_stream_snr_rate_or_channel_is_noticed() -> None:
    """Else the comparison could not fail."""
    noisy = replace(SETTING, snr_db=-3.0)
    direct, differ = PAIR.direct(asdict(noisy)), []
    with LinkOfThree(("pair", asdict(PAIR))) as link:
        for changed in ({"seed": 8}, {"stream": 6}, {"snr_db": -9.0}, {"symbols": 4}, {"channel": "awgn"}):
            other = asdict(replace(noisy, **changed))
            differ.append(int((link.answers(other, PAIR.ends(other).channel) != direct).sum()))
    assert all(differ), differ


def test_the_flags_of_a_channel_make_that_channel() -> None:
    spec = ChannelSpec(snr_db=-7.25, fading="rayleigh", doppler=0.012345678901234567, coherence=77, seed=2**63)
    flags = flags_of(spec)
    typed = dict(zip(flags[::2], flags[1::2], strict=True))
    made = {name: one.kind(typed[one.flag]) for name, one in CHANNEL.items() if one.flag in typed}
    assert ChannelSpec(**made) == spec
    assert flags_of(ChannelSpec()) == []


@pytest.mark.parametrize(
    ("crossed", "code", "told"),
    [
        ([Crossed(AT, 30)], 0, "1 points over the link: all identical"),
        ([Crossed(AT, 30), Crossed(AT, reason="no ends")], 0, "not over a link, 1 points: no ends"),
        ([Crossed(AT, 30), Crossed(AT, 30, 2)], 1, "3 dB, stream 0: 2 of 30 differ"),
        ([Crossed(AT, 30, 3, 1)], 1, "3 of 30 differ, 1 of them lost"),
        ([Crossed(AT, 30), Crossed(AT, 30, 30, 30, failed="receiver: no")], 1, "receiver: no"),
        ([Crossed(AT, reason="no ends")] * 3, 2, "not over a link, 3 points: no ends"),
    ],
)
def test_what_differs_or_was_lost_is_a_failure(
    crossed: list[Crossed], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(crossed, ["n"]) == code
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConfigError("no"), ConfigError),
        (ModelError("no"), SemlinkError),
        (PeerRejected("no"), PeerRejected),
        (comparing.NotThere("no"), SemlinkError),
    ],
)
def test_what_an_end_raises_is_raised_here_with_its_role(error: Exception, kind: type[Exception]) -> None:
    class Broken(Half):
        def answer(self, request: dict[str, object]) -> dict[str, object]:
            raise error

    replies = io.StringIO()
    half.serve(Broken(), io.StringIO('{"failed": true}\n'), replies)
    with pytest.raises(kind, match=r"^receiver: no$"):
        link_of_three.understood("receiver", replies.getvalue())


SOMEBODYS = """
import numpy as np
from training.systems.codec import Codec

HEARD = []

class Codebook(Codec):
    \"\"\"One of two words, by how bright a picture is.\"\"\"
    name, pilots = "codebook", PILOTS

    def __init__(self, symbols, bench):
        self.symbols = symbols
        self.words = np.exp(2j * np.pi * np.random.default_rng(0).random((64, symbols)))

    def encode_told(self, images, told_db):
        assert told_db in (-2.0, -10.0)  # -10: the rehearsal
        return self.encode(images)

    def encode(self, images):
        level = images.reshape(len(images), -1).sum(1) % 64
        return self.words[LEVEL]

    def decode(self, symbols, snr):
        found = np.abs(symbols @ self.words.conj().T).argmax(1) % 10
        return np.array(HEARD) if len(HEARD) == len(found) else found
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite of one SNR at two places, one of which no link can serve."""
    one = Suite("quick", "digits", (-2.0,), 1, 1, "digits", ("block-rayleigh",), n=(12,),
                home=("block-rayleigh", "estimated", 12))  # fmt: skip
    monkeypatch.setitem(SUITES, "quick", one)


def evaluated(folder: Path, text: str, *flags: str) -> tuple[int, str, dict[tuple[str, str], str]]:
    """Exit code, what was told, and the verdicts by system and csi, of a suite over the link with a codec."""
    (folder / "my.py").write_text(text)
    words = ["--suite", "quick", "--codec", f"{folder / 'my.py'}:Codebook", "--over-the-link", "--images", "30"]
    ran = CliRunner().invoke(evaluate.main, [*words, "--out", str(folder / "out"), *flags], obj={})
    if isinstance(ran.exception, SemlinkError):
        return ran.exception.exit_code, str(ran.exception), {}
    points = json.loads((folder / "out" / "quick-over-the-link.json").read_text())["points"]
    verdicts = {(one["system"], one["csi"]): one["reason"] or f"{one['differ']} of {one['images']}" for one in points}
    return ran.exit_code, ran.output, verdicts


@pytest.mark.usefixtures("nearby", "small")
@pytest.mark.parametrize(
    ("pilots", "beside"), [("4", "ours"), pytest.param("0", "ours-adaptive", marks=pytest.mark.full)]
)
def test_somebodys_codec_and_ours_decide_over_the_link_what_the_suite_measures(
    tmp_path: Path, pilots: str, beside: str
) -> None:
    text = SOMEBODYS.replace("PILOTS", pilots).replace("LEVEL", "level")
    code, said, verdicts = evaluated(tmp_path, text, "--only", f"{beside},teacher")
    assert code == 0, said
    assert verdicts[beside, "estimated"] == verdicts["codebook", "estimated"] == "0 of 30"
    assert "csi perfect is measured without one" in verdicts["codebook", "perfect"]
    assert verdicts["teacher", "estimated"] == "teacher has no two ends: nothing is sent"
    assert "points over the link: all identical" in said


@pytest.mark.usefixtures("nearby", "small")
def test_a_codec_that_looks_at_a_whole_batch_is_caught_by_the_link(tmp_path: Path) -> None:
    text = SOMEBODYS.replace("PILOTS", "4").replace("LEVEL", "(level - level.min()) % 64")
    code, said, verdicts = evaluated(tmp_path, text, "--only", "teacher")
    assert code == 1
    assert int(verdicts["codebook", "estimated"].split()[0]) > 15
    assert "1 differ" in said


@pytest.mark.full
@pytest.mark.usefixtures("nearby", "small")
def test_ends_that_made_two_codecs_are_told_so(tmp_path: Path) -> None:
    declared = "    def weights(self):\n        return {'words': self.words}\n\n    def encode_told"
    text = SOMEBODYS.replace("    def encode_told", declared).replace("PILOTS", "4").replace("LEVEL", "level")
    assert evaluated(tmp_path, text, "--only", "teacher")[0] == 0
    (other := tmp_path / "other").mkdir()
    code, said, verdicts = evaluated(other, text.replace("default_rng(0)", "default_rng()"), "--only", "teacher")
    assert (code, verdicts["codebook", "estimated"]) == (1, "30 of 30")
    assert "each end made this codec, and not the same one; what it draws or fits must come out the same" in said


@pytest.mark.usefixtures("nearby", "small")
def test_a_codec_that_is_wrong_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    text = SOMEBODYS.replace("PILOTS", "4").replace("LEVEL", "level")
    for wrong, told in (
        (text.replace("self.words[level]", "self.words[level] * 2"), "a mean power of 4 where 1"),
        (text.replace(".argmax(1) % 10", ".argmax(1)"), "classes are 0 to 9"),
        (text.replace('"codebook"', '"ours"'), "two systems are called 'ours'"),
        (text.replace('"codebook"', '"label-code"'), "two systems are called 'label-code'"),
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        code, said, _ = evaluated(folder, wrong)
        assert (code, told in said) == (2, True), said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--codec", "my.py:Mine"], "--codec goes with --suite"),
        (["--suite", "quick", "--codec", "nosuch.py:Mine"], "nosuch.py: there is no such file"),
        (["--suite", "quick", "--over-the-link", "--against", "x.json"], "--against goes without --over-the-link"),
        (["--over-the-link", "--figure", "x.png"], "--figure goes without --over-the-link"),
        (["--over-the-link", "--device", "cuda"], "--device goes without --over-the-link"),
        (["--over-the-link", "--skip-bad"], "--skip-bad goes without --over-the-link"),
        (["--images", "3"], "--images goes with --suite"),
        (["--over-the-link", "--images", "0"], "--images must be at least 1, not 0"),
        (["--suite", "quick", "--over-the-link", "--snr", "3"], "--snr goes without --suite"),
    ],
)
def test_what_does_not_go_together_is_told(words: list[str], told: str) -> None:
    ran = CliRunner().invoke(evaluate.main, words, obj={})
    assert isinstance(ran.exception, ConfigError)
    assert told in str(ran.exception)


def test_code_is_run_by_what_a_person_typed_alone(tmp_path: Path) -> None:
    """Neither an environment nor a file of settings, which may come from somebody else, names what is run."""
    code, settings = tmp_path / "my.py", tmp_path / "settings.toml"
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    settings.write_text(f'codec = ["{code}:Codebook"]')
    for words, environment, told in (
        (["--config", str(settings)], {}, "a file of settings"),
        ([], {"TRAINING_EVALUATE_CODEC": f"{code}:Codebook"}, "the environment"),
    ):
        ran = CliRunner().invoke(
            evaluate.main, [*words, "--suite", "quick"], obj={}, env=environment,
            auto_envvar_prefix="TRAINING_EVALUATE",
        )  # fmt: skip
        assert isinstance(ran.exception, ConfigError), ran.output
        assert told in str(ran.exception)
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("nearby")
def test_a_pair_is_asked_by_the_command(tmp_path: Path) -> None:
    words = ["--over-the-link", "--images", "12", "--snr", "0", "--symbols", "16", "--seeds", "1"]
    ran = CliRunner().invoke(evaluate.main, [*words, "--json", str(tmp_path / "points.json")], obj={})
    assert ran.exit_code == 0, ran.output
    (point,) = json.loads((tmp_path / "points.json").read_text())["points"]
    assert (point["images"], point["differ"], point["csi"], point["reason"]) == (12, 0, "estimated", None)
    ran = CliRunner().invoke(evaluate.main, [*words, "--csi", "known"], obj={})
    assert ran.exit_code == 2
    assert "not over a link, 1 points" in ran.output


@pytest.mark.full  # two interpreters that import torch
def test_three_processes_decide_it_too_and_none_is_left() -> None:
    with LinkOfThree(("pair", asdict(PAIR))) as link:
        question = asdict(SETTING)
        assert np.array_equal(link.answers(question, PAIR.ends(question).channel), PAIR.direct(question))
        processes = [one.process for one in link._halves]
    assert all(one.poll() is not None for one in processes)


@pytest.mark.full
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return self.words", "print('{}')\n        return self.words", "identical"),
        ("return self.words", "HEARD[:] = ((level + 5) % 10).tolist()\n        return self.words", "20 of 20 differ"),
        ("default_rng(0)", "default_rng()", "(1[0-9]|20) of 20 differ"),
        ("return self.words", "assert len(images) > 1\n        return self.words", "transmitter: .*Codebook.encode .*"),
        ("found = np", "assert len(symbols) > 1\n        found = np", "receiver: .*Codebook.decode .*"),
    ],
    ids=["prints", "remembers", "draws lots", "cannot send", "cannot answer"],
)
def test_what_only_processes_of_their_own_show(tmp_path: Path, old: str, new: str, told: str) -> None:
    """Direct evaluation has both ends in one memory; and the ends speak to us through what a codec may print to."""
    text = SOMEBODYS.replace(old, new, 1).replace("PILOTS", "4").replace("LEVEL", "level")
    (tmp_path / "my.py").write_text(text)
    order = {"out": str(tmp_path), "only": ["teacher"], "most": 20, "codecs": [f"{tmp_path / 'my.py'}:Codebook"]}
    subject = SuiteSubject("quick", order)
    question = {"system": "codebook", "channel": "awgn", "csi": "estimated", "n": 16, "snr_db": -2.0, "stream": 0}
    (crossed,) = cross(("suite", asdict(subject)), subject, [{**question, "seed": 0}])
    assert re.fullmatch(told, crossed.verdict)


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whoever_ends_the_command_ends_all_its_processes(tmp_path: Path, number: int) -> None:
    words = ["--over-the-link", "--snr", ",".join(map(str, range(40))), "--symbols", "8", "--seeds", "4"]
    with Command("python", "-m", "training.evaluate", *words) as command:
        ours = []
        for _ in range(600):
            ours = children_of(command.process.pid)
            if len(ours) == 3:  # both ends and an emulator
                break
            time.sleep(0.1)
        assert len(ours) == 3
        command.process.send_signal(number)
        assert command.wait(30) == 130
    assert not [pid for pid in ours if Path(f"/proc/{pid}").exists()]


@pytest.mark.full
def test_an_end_that_dies_is_told_with_what_it_said(tmp_path: Path) -> None:
    with (
        pytest.raises(SemlinkError, match="receiver: no model pair 'nosuch'"),
        LinkOfThree(("pair", {**asdict(PAIR), "pair": "nosuch"})) as link,
    ):
        link.answers(asdict(SETTING), ChannelSpec())
    with LinkOfThree(("pair", asdict(PAIR))) as link:
        link._halves[0].process.kill()
        with pytest.raises(SemlinkError, match=r"^receiver ended: "):
            link.answers(asdict(SETTING), ChannelSpec())
