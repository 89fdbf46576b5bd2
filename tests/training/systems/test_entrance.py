"""Whoever has a method brings it in by the name of its class; each mistake is one line that says what and where."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from common.errors import ConfigError
from common.images.datasets import load_images
from common.pair.manifest import find_pair
from training.systems.bench import Bench
from training.systems.entrance import Entrance, open_codec
from training.systems.system import NotThere, Place

pytestmark = pytest.mark.usefixtures("one_thread")
HOME = Place("awgn", "estimated", 12, 10.0)
GOOD = """
import numpy as np
from training.systems.codec import Codec

class Mine(Codec):
    name, pilots = "mine", 4

    def __init__(self, symbols, bench):
        self.symbols = symbols
        images, labels = bench.train().images, bench.train().labels
        self.mean = np.stack([images[labels == k].mean(0).ravel() for k in range(10)])
        self.words = np.random.default_rng(0).choice([-1.0, 1.0], (10, symbols)) + 0j

    def encode(self, images):
        flat = images.reshape(len(images), -1)
        near = (flat @ self.mean.T - (self.mean**2).sum(1) / 2).argmax(1)
        return self.words[near]

    def decode(self, symbols, snr):
        return (symbols @ self.words.T).real.argmax(1)
"""
"""Nearest mean, and a random word for it."""


@pytest.fixture(scope="module")
def bench() -> Bench:
    digits = find_pair("digits")
    return Bench("quick", digits, "digits", load_images("digits", "test", digits.preprocess).take(np.arange(80)))


def written(folder: Path, *changes: tuple[str, str], text: str = GOOD) -> str:
    """The codec above with changes, as it is named on a command line."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "my.py"
    file.write_text(text)
    return f"{file}:Mine"


def test_a_class_in_a_file_or_a_module_is_one_more_system(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    spec = written(tmp_path)
    found = []
    for named in (spec, "my:Mine"):
        system = open_codec(named).system(bench)
        assert system.name == "mine"
        measured = system.measure(HOME, 0, 0)
        assert measured.uses == 12
        found.append(measured.decided)
    assert np.array_equal(*found)
    assert np.mean(found[0] == bench.labels) > 0.7
    perfect = system.measure(Place("awgn", "perfect", 12, 10.0), 0, 0)
    assert perfect.uses == 12  # no pilots, so more symbols
    with pytest.raises(NotThere, match="4 pilots leave no symbol of n = 4"):
        system.measure(Place("awgn", "estimated", 4, 10.0), 0, 0)


def test_a_function_will_do_and_what_says_no_name_has_its_own(bench: Bench, tmp_path: Path) -> None:
    spec = written(tmp_path, ('name, pilots = "mine", 4', ""), ("class Mine", "class Inner"))
    (tmp_path / "my.py").write_text(
        (tmp_path / "my.py").read_text() + "\ndef Mine(n, bench):\n  return Inner(n, bench)\n"
    )
    entrance = open_codec(spec)
    assert (entrance.name, entrance.pilots) == ("Mine", 4)
    assert entrance.codec(8, bench).symbols == 8


def test_what_there_is_not_for_a_place_has_a_reason_and_no_error(bench: Bench, tmp_path: Path) -> None:
    no = "from training.systems.system import NotThere\n        raise NotThere('a picture needs 99')"
    system = open_codec(written(tmp_path, ("self.symbols = symbols", no))).system(bench)
    with pytest.raises(NotThere, match="a picture needs 99"):
        system.measure(HOME, 0, 0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("self.words[near]", "self.words[near].real")], r"encode gave float64 \[80, 8\], and complex \[80, 8\]"),
        ([("self.words[near]", "self.words[near][:, :5]")], r"encode gave complex128 \[80, 5\], and complex \[80, 8\]"),
        ([("self.words[near]", "self.words[near][0]")], r"encode gave complex128 \[8\]"),
        ([("self.words[near]", "list(self.words[near])")], "encode gave a list, not an array of numpy"),
        ([("self.words[near]", "None")], "encode gave nothing, not an array"),
        ([("self.words[near]", "self.words[near] * 3")], "image 0 of 80 a mean power of 9 where 1"),
        ([("self.words[near]", "self.words[near] * (1 + near[:, None])")], "a mean power of .* where 1"),
        ([("self.words[near]", "self.words[near] * np.nan")], "a mean power of nan where 1"),
        ([("self.words[near]", "np.full((80, 8), np.inf + 0j)")], "a mean power of inf where 1"),
        ([(".real.argmax(1)", ".real.max(1)")], r"decode gave float64 \[80\], and whole numbers \[80\]"),
        ([(".real.argmax(1)", ".real.argmax(1) > 3")], r"decode gave bool \[80\]"),
        ([(".real.argmax(1)", ".real.argmax(1)[:, None]")], r"decode gave int64 \[80, 1\]"),
        ([(".real.argmax(1)", ".real.argmax(1) + 5")], "decode answered 5 to 14; classes are 0 to 9"),
        ([(".real.argmax(1)", ".real.argmax(1) - 1")], "decode answered -1 to 8; classes are 0 to 9"),
        ([("return (symbols @", "raise OSError('gone')\n        return (symbols @")], r"decode \(line 20\) raised OSE"),
        ([("near = (flat", "near = self.none(flat")], r"encode \(line 16\) raised AttributeError"),
        ([("self.symbols = symbols", "self.symbols = 7")], "asked for 8 symbols, and its codec has symbols = 7"),
        ([("self.symbols = symbols", "self.symbols = 'all'")], r"symbols raised TypeError"),
        ([("self.symbols = symbols", "pass")], r"symbols raised AttributeError"),
        ([("self.symbols = symbols", "exit(3)")], r"my.py:Mine \(line 9\) raised SystemExit: 3"),
        ([("symbols, bench):", "bench):")], r"raised TypeError: .*takes 2 positional arguments"),
        ([("def decode", "def decoded")], "raised TypeError: Can't instantiate abstract class Mine .*decode"),
        ([("Mine(Codec):", "Mine:")], "gave a Mine, not a training.systems.codec.Codec"),
    ],
)
def test_a_codec_that_breaks_its_promise_is_told_so(
    bench: Bench, tmp_path: Path, changes: list[tuple[str, str]], told: str
) -> None:
    entrance = open_codec(written(tmp_path, *changes))
    system = entrance.system(bench)
    with pytest.raises(ConfigError, match=told) as caught:
        system.measure(HOME, 0, 0)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(entrance.spec)


def test_what_it_does_to_its_images_harms_nobody(bench: Bench, tmp_path: Path) -> None:
    before = bench.images.copy()
    spec = written(tmp_path, ("flat = images", "images //= 2\n        flat = images"))
    open_codec(spec).system(bench).measure(HOME, 0, 0)
    assert np.array_equal(bench.images, before)


@pytest.mark.parametrize(
    ("spec", "text", "told"),
    [
        ("", "", "say FILE.py:CLASS or MODULE:CLASS"),
        ("my.py", "", "say FILE.py:CLASS or MODULE:CLASS"),
        ("my.py:", "", "say FILE.py:CLASS or MODULE:CLASS"),
        (":Mine", "", "say FILE.py:CLASS or MODULE:CLASS"),
        ("my.py:Mine()", "", "say FILE.py:CLASS or MODULE:CLASS"),
        ("nosuch.py:Mine", "", "nosuch.py: there is no such file"),
        ("circle.py:Mine", "", "circle.py: there is no such file"),
        ("no.such.module:Mine", "", "no.such.module raised ModuleNotFoundError"),
        ("my.py:Other", GOOD, "my.py has no Other; it has Mine"),
        ("my.py:np", GOOD, "my.py has no np; it has Mine"),
        ("my.py:Mine", "x = 1", "my.py has no Mine; it has no class made of"),
        ("my.py:Mine", "x = (", "my.py raised SyntaxError"),
        ("my.py:Mine", "import sys\nsys.exit('bye')", r"my.py \(line 2\) raised SystemExit: bye"),
        ("my.py:Mine", "\n\n1 / 0", r"my.py \(line 3\) raised ZeroDivisionError"),
        ("my.py:Mine", "import nosuchthing", r"my.py \(line 1\) raised ModuleNotFoundError: .*nosuchthing"),
        ("my.py:Mine", GOOD.replace('"mine", 4', '"a,b", 4'), "its name is 'a,b'"),
        ("my.py:Mine", GOOD.replace('"mine", 4', '"", 4'), "its name is ''"),
        ("my.py:Mine", GOOD.replace('"mine", 4', "3, 4"), "its name is 3"),
        ("my.py:Mine", GOOD.replace('"mine", 4', '"mine", 1'), "pilots is 1, and must be 0 or at least 2"),
        ("my.py:Mine", GOOD.replace('"mine", 4', '"mine", -4'), "pilots is -4"),
        ("my.py:Mine", GOOD.replace('"mine", 4', '"mine", True'), "pilots is True"),
    ],
)
def test_what_cannot_be_opened_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, text: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.py").write_text(text)
    Path("circle.py").symlink_to("circle.py")
    with pytest.raises(ConfigError, match=told) as caught:
        open_codec(spec)
    assert "\n" not in str(caught.value)


def test_ends_agree_where_both_have_learnt_the_same(bench: Bench, tmp_path: Path) -> None:
    """Another seed, n, number of pilots or name is another id; another SNR or stream is not."""
    declared = ("    def encode", '    def weights(self):\n        return {"words": self.words}\n\n    def encode')

    def identity(place: Place, *changes: tuple[str, str], stream: int = 0) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        system = open_codec(written(folder, declared, *changes)).system(bench)
        return system.ends(place, stream, 0).agreement.id

    same = {identity(HOME), identity(HOME, stream=3), identity(Place("block-rayleigh", "estimated", 12, 0.0))}
    others = [
        identity(HOME, ("default_rng(0)", "default_rng(1)")),
        identity(Place("awgn", "estimated", 13, 10.0)),
        identity(HOME, ('"mine", 4', '"mine", 3')),
        identity(HOME, ('"mine"', '"yours"')),
    ]
    assert len(same) == 1
    assert len(same | set(others)) == 5


def test_a_codec_is_measured_anew_since_nobody_knows_what_else_it_is_made_of(bench: Bench, tmp_path: Path) -> None:
    spec = written(tmp_path, text=GOOD)  # it may read weights of a file, or be one of several classes
    assert open_codec(spec).system(bench).made_of is None


def test_perfect_knowledge_of_the_channel_is_no_links(bench: Bench, tmp_path: Path) -> None:
    system = open_codec(written(tmp_path)).system(bench)
    with pytest.raises(NotThere, match="a link has to estimate its channel, so csi perfect is measured without one"):
        system.ends(Place("awgn", "perfect", 12, 10.0), 0, 0)


def test_weights_that_are_no_arrays_are_told(bench: Bench, tmp_path: Path) -> None:
    declared = ("    def encode", '    def weights(self):\n        return {"words": [1]}\n\n    def encode')
    entrance: Entrance = open_codec(written(tmp_path, declared))
    with pytest.raises(ConfigError, match=r"weights\['words'\] is a list, not an array of numbers"):
        entrance.system(bench).ends(HOME, 0, 0)


TOLD = (
    GOOD
    + """
    def encode_told(self, images, told_db):
        return self.encode(images) * (1j if told_db > 3 else 1)

    def decode_told(self, symbols, snr, told_db):
        return self.decode(symbols * (-1j if told_db > 3 else 1), snr)
"""
)
"""What both ends do by what the transmitter was told, turns over where one of them is not asked so."""


def test_a_decoder_is_told_what_the_transmitter_was(bench: Bench, tmp_path: Path) -> None:
    plain, turned = (tmp_path / name for name in ("plain", "turned"))
    for folder in (plain, turned):
        folder.mkdir()
    codecs = [open_codec(written(plain)).system(bench), open_codec(written(turned, text=TOLD)).system(bench)]
    for place in (Place("awgn", "perfect", 12, 0.0), Place("awgn", "perfect", 12, 20.0)):
        decided = [one.measure(place, 0, 0).decided for one in codecs]
        assert np.mean(decided[0] == decided[1]) > 0.95
    ends = codecs[1].ends(Place("awgn", "estimated", 12, 20.0), 0, 0)
    assert ends.encode is not None
    assert ends.decode is not None
    sent = ends.encode(bench.images, 20.0).astype(np.complex64)
    found = ends.decode(sent, np.full(sent.shape, 100.0, np.float32), [()] * len(sent))
    assert [one["classify"]["index"] for one in found] == codecs[0].measure(
        Place("awgn", "perfect", 8, 60.0), 0, 0
    ).decided.tolist()
