"""The picture itself: JPEG or WebP, 5G LDPC and QAM, with the rate that suits the average SNR. The receiver classifies.

Knows nothing about other systems. A picture is a fixed number of bytes (`pictures.py`). What comes is decoded and
classified by the pair itself without a channel, or by a teacher (`large_receiver.py`); what Pillow cannot read counts
as a grey picture. Bytes, modulation and pilots are those of which most is expected at a place:

    accuracy of pictures of so many bytes (1 - e) + accuracy of lost ones e

Both accuracies are of held-out training images; e, the share of lost words, is of random words on AWGN, averaged over
|h|^2 ~ Exp(1) on Rayleigh, and P pilots take 1 + 1/P from the SNR. `python -m training.baseline --system
jpeg-ldpc,webp-ldpc` measures them (`picture_fitting.py`). The home of each is the least n at which it works at all:
half the way from lost to its own best, at 20 dB.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import SemlinkError
from common.phy.decibel import from_db
from training.baselines.large_receiver import Classify, opened
from training.baselines.ldpc import LdpcQam
from training.baselines.pictures import QUALITIES, RUNG_BITS, Format, Jpeg, Webp
from training.baselines.remembered import Remembered
from training.systems.bench import Bench
from training.systems.carried import Carried
from training.systems.carry import Way
from training.systems.codec import Codec
from training.systems.readback import read_document, reading
from training.systems.system import NotThere, Place, System

FORMATS: dict[str, type[Format]] = {"jpeg-ldpc": Jpeg, "webp-ldpc": Webp}
NAMES = tuple(FORMATS)
ORDER_BITS = (2, 4, 6)
"""Code bits a symbol that are tried: QPSK, 16-QAM, 64-QAM."""
PILOTS = (2, 4, 8)
"""Pilots that are tried where the channel is estimated."""
GAINS = -np.log1p(-(np.arange(200) + 0.5) / 200)
"""|h|^2 of block Rayleigh fading, each equally likely."""
Setting = tuple[int, int, int]
"""Bytes a picture, code bits a symbol, pilots."""


def lost_share(curve: Sequence[tuple[float, float]], snrs_db: NDArray[np.float64]) -> float:
    """Mean share of lost words at these SNRs. curve: SNR in dB, ascending, and the share of lost words there."""
    at, share = np.asarray(curve).T
    return float(np.mean(np.interp(snrs_db, at, share)))


class PictureCodec(Codec):
    """Packed pictures as words of an `LdpcQam`."""

    def __init__(self, form: Format, code: LdpcQam, pack: Remembered, classify: Remembered) -> None:
        """pack: images -> bits, uint8 [B, k]; classify: pictures, uint8 [B, H, W, C] -> int64 [B]."""
        self.symbols = code.uses
        self._form, self._code, self._pack, self._classify = form, code, pack, classify

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complex64]:
        """See `Codec`."""
        return self._code.encode(self._pack(images))

    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.int64]:
        """See `Codec`."""
        return np.asarray(self._classify(self._form.unpack(self._code.decode(symbols, snr))))

    def weights(self) -> dict[str, NDArray[Any]]:
        """What both ends must hold: nothing is learnt, but word, modulation and qualities are agreed on."""
        code = self._code
        return {"agreed": np.array([code.bits, code.uses, code.order_bits, *QUALITIES])}


class PictureCode(Carried):
    """Chooses what a place is sent with, from what was measured once."""

    def __init__(self, bench: Bench, name: str) -> None:
        super().__init__(bench)
        self.name = name
        self._form = FORMATS[name](bench.images.shape[1:])
        self._classify = Remembered(lambda images: self._receiver(images))
        self._packs: dict[int, Remembered] = {}
        self._codes: dict[tuple[int, int, int], LdpcQam] = {}

    @property
    def home(self) -> tuple[tuple[str, str, int], ...]:  # type: ignore[override]
        """See `System`; where nothing was fitted, or its file is damaged, the suite's."""
        with suppress(NotThere, SemlinkError):
            return (("awgn", "perfect", self._fitted["home"]),)
        return ()

    def way(self, place: Place) -> Way:
        """See `Carried`."""
        size, order_bits, pilots = self.setting(place)
        bits = RUNG_BITS + 8 * size
        key = bits, place.n - pilots, order_bits
        if key not in self._codes:
            self._codes[key] = LdpcQam(*key)
        pack = self._packs.setdefault(size, Remembered(partial(self._form.pack, size=size)))
        return Way(PictureCodec(self._form, self._codes[key], pack, self._classify), pilots)

    def packer(self, place: Place) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
        """Its pictures there before they are coded against the channel: uint8 [B, H, W, C] -> bits, uint8 [B, k]."""
        return partial(self._form.pack, size=self.setting(place)[0])

    def setting(self, place: Place) -> Setting:
        """What is expected to do best there."""
        if place.n < self._fitted["home"]:
            raise NotThere(f"the smallest picture needs n = {self._fitted['home']}")
        hopes = {one: self.expected(one, place) for one in self._settings(place)}
        if not hopes:
            raise NotThere(f"tuned for n = {', '.join(map(str, self._fitted['n']))}, not {place.n}")
        return max(hopes, key=lambda one: hopes[one])

    def expected(self, setting: Setting, place: Place) -> float:
        """The accuracy to be expected, 0..1."""
        size, order_bits, pilots = setting
        curve = self._fitted["curves"][f"{size}.{place.n - pilots}.{order_bits}"]
        gains = GAINS if place.channel == "block-rayleigh" else np.ones(1)
        snr = gains * from_db(place.snr_db) / (1.0 + 1.0 / pilots if pilots else 1.0)
        lost = lost_share(curve, 10.0 * np.log10(snr))
        return (1.0 - lost) * float(self._fitted["accuracy"][str(size)]) + lost * float(self._fitted["lost"])

    def _settings(self, place: Place) -> list[Setting]:
        tried = [(s, m, p) for s in map(int, self._fitted["accuracy"]) for m in ORDER_BITS
                 for p in (PILOTS if place.csi == "estimated" else (0,))]  # fmt: skip
        return [(s, m, p) for s, m, p in tried if f"{s}.{place.n - p}.{m}" in self._fitted["curves"]]

    @cached_property
    def _receiver(self) -> Classify:
        return opened(self.bench, self._fitted.get("classifier"))

    @cached_property
    def _fitted(self) -> dict[str, Any]:
        path, again = self.bench.weights(self.name).with_suffix(".json"), self.bench.command(self.name)
        if not path.is_file():
            raise NotThere(f"not fitted: {again}")
        with reading(path, again):
            found = _checked(read_document(path))
        self.bench.require_seen(self.name, found.get("data"))
        return found

    @property
    def about(self) -> dict[str, Any]:
        """See `System`."""
        by = self._fitted.get("classifier")
        return {
            "sends": f"the picture; the receiver classifies it with {by['teacher'] if by else 'the pair itself'}, "
            "without a channel",
            "classifier": by,
            "tuning": self._fitted.get("tuning"),
            "held_to": "a published curve of 5G LDPC within 0.2 dB",
        }


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    """What a fit wrote, if it can be counted with."""
    shares = [float(one) for one in (found["lost"], *found["accuracy"].values())]
    curves = [np.array(one, float).reshape(-1, 2) for one in found["curves"].values()]
    if not all(0.0 <= one <= 1.0 for one in shares) or not all(len(one) for one in curves):
        raise ValueError("a share is not within 0 to 1, or a curve has no points")
    if min(map(int, (found["home"], *found["n"], *found["accuracy"]))) < 1:
        raise ValueError("a number of uses or bytes is below 1")
    return found


def systems(bench: Bench) -> list[System]:
    """What this module compares with a pair."""
    return [PictureCode(bench, name) for name in NAMES]
