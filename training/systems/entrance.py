"""Somebody's own encoder and decoder by the name of their class, `my.py:MyCodec`, as one more system of a suite.

Runs the code of that file, so only a person may name it, on a command line: no manifest, result or card ever does.
Every call is checked, one line for each mistake. Knows nothing about what the codec is.
"""

import importlib
import importlib.util
import operator
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
from click.core import ParameterSource
from numpy.typing import NDArray

from common.errors import ConfigError, SemlinkError
from common.files import user_path
from common.text import safe
from training.systems.bench import Bench
from training.systems.carried import Carried
from training.systems.carry import Way
from training.systems.codec import Codec
from training.systems.system import NotThere, Place

PILOTS = 4
"""Pilots of a codec that does not say how many it wants."""
POWER_ERROR = 0.01
QUIET_SNR = 1e4
"""Linear SNR that a decoder is told of symbols without noise."""
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Entrance:
    """A way in: what `make(symbols, bench)` gives is measured under `name`. spec: as it was typed."""

    spec: str
    name: str
    make: Callable[[int, Bench], Codec]
    pilots: int

    def system(self, bench: Bench) -> "Foreign":
        """As one more system of a suite."""
        return Foreign(bench, self)

    def codec(self, symbols: int, bench: Bench) -> "Checked":
        """For so many symbols. ConfigError where it is none; NotThere where its maker says that there is none."""
        with told(self.spec, "", self.file):
            made = self.make(symbols, bench)
        if not isinstance(made, Codec):
            raise ConfigError(f"{self.spec} gave {_a(made)}, not a training.systems.codec.Codec")
        return Checked(made, self.spec, symbols, len(bench.classes), self.file)

    @property
    def file(self) -> str:
        """Where its code lies."""
        return str(getattr(sys.modules.get(self.make.__module__), "__file__", ""))


class Foreign(Carried):
    """A codec made for as many symbols as a place leaves beside its pilots, once for each number of them."""

    def __init__(self, bench: Bench, entrance: Entrance) -> None:
        super().__init__(bench)
        self.name = entrance.name
        self._entrance = entrance
        self._made: dict[int, Checked] = {}
        self.made_of = None  # nobody knows all of it, so it is measured anew each time

    def way(self, place: Place) -> Way:
        """See `Carried`."""
        pilots = self._entrance.pilots if place.csi == "estimated" else 0
        symbols = place.n - pilots
        if symbols < 1:
            raise NotThere(f"{pilots} pilots leave no symbol of n = {place.n}")
        if symbols not in self._made:
            self._made[symbols] = self._entrance.codec(symbols, self.bench)
        return Way(self._made[symbols], pilots)

    def rehearse(self, place: Place) -> None:
        """Two images there without a channel. ConfigError says what is wrong; what cannot be there is no mistake."""
        with suppress(NotThere):
            codec = self.way(place).codec
            sent = codec.encode_told(self.bench.images[:2], place.snr_db).astype(np.complex64)
            codec.decode_told(sent, np.full(sent.shape, QUIET_SNR, np.float32), place.snr_db)

    @property
    def macs(self) -> float | None:
        """Of the largest that was made so far."""
        return max((made.macs for made in self._made.values() if made.macs is not None), default=None)


class Checked(Codec):
    """A codec whose every answer is held to what `Codec` promises. ConfigError says what is not so."""

    def __init__(self, codec: Codec, spec: str, symbols: int, classes: int, file: str = "") -> None:
        self._codec, self._spec, self._classes, self._file = codec, spec, classes, file
        with told(spec, ".symbols", file):
            has = operator.index(codec.symbols)
        if has != symbols:
            raise ConfigError(f"{spec} was asked for {symbols} symbols, and its codec has symbols = {has}")
        self.symbols, self.macs, self.parameters = symbols, codec.macs, codec.parameters

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complexfloating[Any]]:
        """See `Codec`."""
        return self.encode_told(images, np.nan)

    def encode_told(self, images: NDArray[np.uint8], told_db: float) -> NDArray[np.complexfloating[Any]]:
        """See `Codec`. It is given a copy, so that whatever it does to the images harms nobody."""
        with told(self._spec, ".encode", self._file):
            sent = self._codec.encode_told(images.copy(), told_db)
        self._is_array("encode", sent, "c", "complex", (len(images), self.symbols))
        power = np.mean(np.abs(sent.astype(np.complex128)) ** 2, axis=1)
        wrong = ~(np.abs(power - 1.0) <= POWER_ERROR)  # not a number as well
        if wrong.any():
            first = int(wrong.argmax())
            raise ConfigError(
                f"{self._spec}: encode gave image {first} of {len(images)} a mean power of {power[first]:.4g} where 1 "
                "is the same for all: divide the symbols of each image by the root of their own mean power"
            )
        return sent

    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.integer[Any]]:
        """See `Codec`."""
        return self.decode_told(symbols, snr, np.nan)

    def decode_told(
        self, symbols: NDArray[np.complex64], snr: NDArray[np.float32], told_db: float
    ) -> NDArray[np.integer[Any]]:
        """See `Codec`."""
        with told(self._spec, ".decode", self._file):
            found = self._codec.decode_told(symbols, snr, told_db)
        self._is_array("decode", found, "iu", "whole numbers", (len(symbols),))
        if len(found) and not 0 <= int(found.min()) <= int(found.max()) < self._classes:
            least, most = int(found.min()), int(found.max())
            raise ConfigError(f"{self._spec}: decode answered {least} to {most}; classes are 0 to {self._classes - 1}")
        return found

    def weights(self) -> Mapping[str, NDArray[Any]]:
        """See `Codec`."""
        with told(self._spec, ".weights", self._file):
            found = dict(self._codec.weights())
        if odd := [name for name, one in found.items() if not isinstance(one, np.ndarray) or one.dtype.kind == "O"]:
            raise ConfigError(f"{self._spec}: weights[{odd[0]!r}] is {_a(found[odd[0]])}, not an array of numbers")
        return found

    def _is_array(self, call: str, given: object, kinds: str, what: str, shape: tuple[int, ...]) -> None:
        if not isinstance(given, np.ndarray):
            raise ConfigError(f"{self._spec}: {call} gave {_a(given)}, not an array of numpy")
        if given.dtype.kind not in kinds or given.shape != shape:
            raise ConfigError(
                f"{self._spec}: {call} gave {given.dtype} {list(given.shape)}, and {what} {list(shape)} is needed"
            )


def typed_alone(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Callback of a click option that runs somebody's code: what no person typed, in this very command, is refused."""
    source = context.get_parameter_source(str(parameter.name))
    if value and source is not ParameterSource.COMMANDLINE:
        where = "the environment" if source is ParameterSource.ENVIRONMENT else "a file of settings"
        raise ConfigError(f"{parameter.opts[0]} runs the code that it names, so type it; it is not taken from {where}")
    return value


def open_codec(spec: str) -> Entrance:
    """FILE.py:CLASS or MODULE:CLASS, as a person typed it. ConfigError says in one line what is wrong with it.

    The class, or a function, is called with (symbols, bench) and gives a `Codec`. It may say `name`, under which it is
    measured, and `pilots`, that it is sent with where the channel is estimated: 4 without, 0 is non-coherent.
    """
    where, _, name = spec.rpartition(":")
    if not where or not name.isidentifier():
        raise ConfigError(f"codec {safe(spec)!r}: say FILE.py:CLASS or MODULE:CLASS")
    module = _load(where)
    make = getattr(module, name, None)
    if not callable(make):
        here = [key for key, one in vars(module).items() if isinstance(one, type) and issubclass(one, Codec)]
        known = ", ".join(key for key in here if key != "Codec") or "no class made of training.systems.codec.Codec"
        raise ConfigError(f"codec {spec}: {where} has no {name}; it has {known}")
    called = getattr(make, "name", name)
    if not isinstance(called, str) or not 0 < len(called) <= LONGEST_NAME or not called.isprintable() or "," in called:
        raise ConfigError(f"codec {spec}: its name is {safe(repr(called), 60)}, not up to {LONGEST_NAME} characters")
    pilots = getattr(make, "pilots", PILOTS)
    if type(pilots) is not int or pilots < 0 or pilots == 1:
        raise ConfigError(f"codec {spec}: pilots is {safe(repr(pilots), 60)}, and must be 0 or at least 2")
    return Entrance(spec, called, make, pilots)


@contextmanager
def told(spec: str, what: str, file: str) -> Iterator[None]:
    """Whatever somebody's code raises becomes one line that says where. What it raises on purpose passes."""
    try:
        yield
    except (SemlinkError, NotThere):
        raise
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        at = f" (line {lines[-1]})" if lines else ""
        why = safe(" ".join(str(error).split()), 200)
        raise ConfigError(f"{spec}{what}{at} raised {type(error).__name__}{f': {why}' if why else ''}") from error


def _load(where: str) -> ModuleType:
    """The module at a path that ends in .py, or of a name."""
    if not where.endswith(".py"):
        with told(f"codec module {where}", "", ""):
            return importlib.import_module(where)
    path = Path(os.path.realpath(user_path(where)))  # of a link in a circle: as it was written
    if not path.is_file():
        raise ConfigError(f"codec file {where}: there is no such file")
    if (known := sys.modules.get(name := f"codec_{path}")) is not None:
        return known
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None  # it ends in .py
    assert found.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(found)
    try:
        with told(f"codec file {where}", "", str(path)):
            found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _a(thing: object) -> str:
    """What something is, for a message."""
    return "nothing" if thing is None else f"a {type(thing).__name__}"
