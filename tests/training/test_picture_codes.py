"""Pictures in few bytes, and 5G LDPC: what was sent comes back, and the best setting is taken."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from common.errors import ModelError
from training.baselines import large_receiver
from training.baselines.ldpc import fits
from training.baselines.picture_codes import FORMATS, PictureCode
from training.baselines.picture_fitting import keys
from training.baselines.pictures import QUALITIES, RUNG_BITS
from training.baselines.remembered import Remembered
from training.systems.system import NotThere, Place

SHAPES = [(8, 8, 1), (17, 9, 1), (32, 32, 3), (24, 40, 3)]


def drawn(shape: tuple[int, int, int], seed: int) -> NDArray[np.uint8]:
    """uint8 [4, H, W, C]: flat, a slope, noise, and half of each."""
    rng, (height, width, channels) = np.random.default_rng(seed), shape
    slope = np.linspace(0, 255, width)[None, :, None] * np.linspace(0.3, 1, channels) * np.ones((height, 1, 1))
    noise = rng.uniform(0, 255, shape)
    return np.stack([np.full(shape, rng.integers(256)), slope, noise, (slope + noise) / 2]).astype(np.uint8)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_left_out_is_put_back(name: str, shape: tuple[int, int, int]) -> None:
    form = FORMATS[name](shape)
    other = FORMATS[name](shape)  # a receiver that has seen no picture
    for image in drawn(shape, 0):
        for quality in QUALITIES[::5]:
            whole = form._saved(image, quality=quality, **OPTIONS[name])
            data = form.data(image, quality)
            assert len(data) < len(whole) - 15
            for tail in (b"", b"\0\0\0"):  # padding
                with (
                    Image.open(io.BytesIO(whole)) as sent,
                    Image.open(io.BytesIO(other.file(data + tail, quality))) as got,
                ):
                    assert (np.asarray(sent) == np.asarray(got)).all()


OPTIONS = {
    "jpeg-ldpc": {"format": "JPEG", "subsampling": 2, "optimize": False},
    "webp-ldpc": {"format": "WEBP", "method": 6},
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", SHAPES[::2])
def test_each_picture_takes_the_best_quality_that_fits(name: str, shape: tuple[int, int, int]) -> None:
    form = FORMATS[name](shape)
    images = drawn(shape, 1)
    sizes = sorted(len(form.data(image, quality)) for image in images for quality in (1, 30))
    for size in (1, sizes[2], sizes[-1] + 20):
        packed = form.pack(images, size)
        assert packed.shape == (4, RUNG_BITS + 8 * size)
        for image, bits, alone in zip(images, packed, form.unpack(packed), strict=True):
            rung = int("".join(map(str, bits[:RUNG_BITS])), 2)
            fitting = [q for q in QUALITIES if len(form.data(image, q)) <= size]
            assert bits.any() == bool(fitting and (rung or len(form.data(image, QUALITIES[rung]))))
            if fitting:
                better = QUALITIES[rung + 1 : rung + 2]
                assert len(form.data(image, QUALITIES[rung])) <= size
                assert not better or len(form.data(image, better[0])) > size
                assert (alone == form._picture(rung, form.data(image, QUALITIES[rung]))).all()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_bits_that_are_no_picture_are_some_picture_of_the_right_size(name: str, shape: tuple[int, int, int]) -> None:
    form, rng = FORMATS[name](shape), np.random.default_rng(2)
    for size in (1, 4, 40):
        noise = rng.integers(0, 2, (20, RUNG_BITS + 8 * size), dtype=np.uint8)
        noise[0] = 0
        noise[1] = 1
        found = form.unpack(noise)
        assert found.shape == (20, *shape)
        assert found.dtype == np.uint8


def test_a_function_of_rows_is_asked_once_for_each() -> None:
    asked: list[int] = []

    def count(rows: NDArray[np.uint8]) -> NDArray[np.int64]:
        asked.append(len(rows))
        return rows.sum(1).astype(np.int64)

    remembered, rows = Remembered(count), np.array([[1, 2], [3, 4], [1, 2]], np.uint8)
    assert remembered(rows).tolist() == [3, 7, 3]
    assert remembered(rows[::-1]).tolist() == [3, 7, 3]
    assert asked == [2]


FITTED = {
    "home": 16,
    "n": [16, 32],
    "lost": 0.1,
    "accuracy": {"8": 0.5, "20": 0.9},
    "curves": {f"{size}.{n}.{m}": [[3.0 * m + size - n / 8 + d, 1.0 - d / 2] for d in (0, 1, 2)]
               for size in (8, 20) for n in (14, 16, 30, 32) for m in (2, 4, 6)},
}  # fmt: skip


def bench(tmp_path: Path) -> SimpleNamespace:
    images = drawn((8, 8, 1), 3)
    return SimpleNamespace(suite="quick", images=images, command=lambda name: f"fit {name}",
                           weights=lambda name: tmp_path / f"{name}.safetensors", require_seen=lambda *_: None,
                           decide=lambda batch: batch.reshape(len(batch), -1).max(1).astype(np.int64))  # fmt: skip


def test_what_is_expected_to_be_best_is_taken(tmp_path: Path) -> None:
    (tmp_path / "jpeg-ldpc.json").write_text(json.dumps(FITTED))
    system = PictureCode(bench(tmp_path), "jpeg-ldpc")  # type: ignore[arg-type]
    assert system.home == (("awgn", "perfect", 16),)
    for channel in ("awgn", "block-rayleigh"):
        for csi in ("perfect", "estimated"):
            places = [Place(channel, csi, 32, snr_db) for snr_db in (-10.0, 5.0, 12.0, 20.0, 40.0)]
            hopes = [max(system.expected(one, at) for one in system._settings(at)) for at in places]
            assert [system.expected(system.setting(at), at) for at in places] == hopes
            assert hopes == sorted(hopes)
            assert hopes[0] == pytest.approx(0.1, abs=0.05)
            assert system.setting(places[-1])[0] == 20
            assert all((system.setting(at)[2] > 0) == (csi == "estimated") for at in places)
    assert system.setting(Place("awgn", "perfect", 32, 12.0))[0] == 8  # the larger one would be lost


@pytest.mark.parametrize(
    "damaged",
    ['{"cut":', "[]", '{"home": 16}', json.dumps({**FITTED, "lost": 2}), json.dumps({**FITTED, "home": "soon"}),
     json.dumps({**FITTED, "accuracy": {"many": 0.5}}), json.dumps({**FITTED, "curves": {"8.32.2": [[1, 0.5, 2]]}})],
)  # fmt: skip
def test_a_damaged_file_is_a_reason_and_no_traceback(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "jpeg-ldpc.json").write_text(damaged)
    system = PictureCode(bench(tmp_path), "jpeg-ldpc")  # type: ignore[arg-type]
    assert system.home == ()
    with pytest.raises(ModelError, match=r"jpeg-ldpc.json: .*; fit jpeg-ldpc"):
        system.setting(Place("awgn", "perfect", 16, 0.0))


@pytest.mark.parametrize(("n", "why"), [(8, "the smallest picture needs n = 16"), (64, "tuned for n = 16, 32, not 64")])
def test_where_no_picture_gets_through_it_is_said(tmp_path: Path, n: int, why: str) -> None:
    with pytest.raises(NotThere, match="not fitted: fit jpeg-ldpc"):
        PictureCode(bench(tmp_path), "jpeg-ldpc").setting(Place("awgn", "perfect", 16, 0.0))  # type: ignore[arg-type]
    (tmp_path / "jpeg-ldpc.json").write_text(json.dumps(FITTED))
    with pytest.raises(NotThere, match=why):
        PictureCode(bench(tmp_path), "jpeg-ldpc").setting(Place("awgn", "perfect", n, 0.0))  # type: ignore[arg-type]


def test_only_rates_of_the_standard_are_tried() -> None:
    for n in (8, 16, 64):
        for key in keys(dict.fromkeys((6, 10, 24, 100), 0.5), n):
            size, uses, order_bits = map(int, key.split("."))
            assert 0.2 <= (RUNG_BITS + 8 * size) / (uses * order_bits) <= 0.925
    assert not fits(20, 64, 2)  # below 1/5
    assert {key.split(".")[1] for key in keys({10: 0.5}, 16, ())} == {"16"}


def test_a_receiver_with_another_teacher_than_was_fitted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_receiver, "described", lambda _, teacher: {"teacher": teacher, "weights": "now"})
    with pytest.raises(NotThere, match="fitted with another teacher than folder"):
        large_receiver.opened(bench(tmp_path), {"teacher": "folder", "weights": "then"})  # type: ignore[arg-type]
    assert large_receiver.opened(bench(tmp_path), None)(drawn((8, 8, 1), 0)).shape == (4,)  # type: ignore[arg-type]
