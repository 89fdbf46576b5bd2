"""Images by name, and photographs of any kind made to fit."""

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from common.errors import ConfigError, DataError
from common.images.datasets import load_for, load_images, permutation
from common.images.imageset import ImageSet
from common.images.photo import decode_image, fit_image
from common.pair.manifest import find_pair
from common.pair.shapes import Preprocess
from sctx.capture.source import Source

COLOUR = Preprocess(32, 32, 3, (0.5,) * 3, (0.5,) * 3)
PINNED = [261, 835, 85, 1215, 321]
"""First entries of the fixed order of the digits: a change would move images between the splits."""
GREY = Preprocess(8, 8, 1, (0.5,), (0.5,))


def encoded(mode: str, size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    colour = {"P": 3, "L": 200, "1": 1, "LA": (200, 128), "RGBA": (250, 10, 10, 255), "I;16": 51200}
    buffer = io.BytesIO()
    image = Image.new(mode, size, colour.get(mode, (250, 10, 10) if mode == "RGB" else (10, 200, 200, 0)))
    if mode == "P":
        image.putpalette([0, 0, 0] * 3 + [0, 200, 0])
    image.save(buffer, kind)
    return buffer.getvalue()


def test_digits_have_a_fixed_split_without_overlap() -> None:
    parts = {split: load_images("digits", split) for split in ("train", "validation", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 1137, "validation": 300, "test": 360}
    assert parts["test"].labels[:8].tolist() == load_images("digits", "test").labels[:8].tolist()
    seen = [image.tobytes() for part in parts.values() for image in part.images]
    assert len(seen) == 1797
    assert parts["train"].images.dtype == np.uint8
    assert parts["train"].images.max() == 255


def test_digits_are_those_of_scikit_learn_which_is_not_imported_for_them() -> None:
    code = "import sys; from common.images.datasets import load_images; "
    code += "print(load_images('digits', 'test').labels.tolist()); "
    code += "assert 'sklearn' not in sys.modules and 'scipy' not in sys.modules"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    found = load_digits()
    order = permutation(1797)[:360]
    assert json.loads(told.stdout) == found.target[order].tolist()
    scaled = (found.images[order].astype(int) * 255 + 8) // 16
    assert np.array_equal(load_images("digits", "test").images[..., 0], scaled)


def test_permutation_is_pinned() -> None:
    assert permutation(10).tolist() == permutation(10).tolist()
    assert sorted(permutation(1797)) == list(range(1797))
    assert permutation(1797)[:5].tolist() == PINNED


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("1", "PNG"), ("CMYK", "JPEG"),
     ("I;16", "PNG"), ("RGB", "WEBP"), ("RGB", "BMP")],
)  # fmt: skip
def test_any_mode_of_photograph_fits(mode: str, kind: str, tmp_path: Path) -> None:
    raw = encoded(mode, kind=kind)
    image = decode_image(raw)
    assert (image.shape, image.dtype) == ((30, 40, 3), np.uint8)
    assert image.max() >= 100
    (tmp_path / "photo").write_bytes(raw)
    assert np.array_equal(decode_image(tmp_path / "photo"), image)
    assert fit_image(image, COLOUR).shape == (32, 32, 3)
    assert fit_image(image, GREY).shape == (8, 8, 1)


def saved(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "PNG")
    return buffer.getvalue()


def test_transparent_pixels_are_black() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 255, 255, 0)).save(buffer, "PNG")
    assert decode_image(buffer.getvalue()).max() == 0


def test_what_fits_is_not_changed() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert np.array_equal(fit_image(image, COLOUR), image)
    assert np.array_equal(fit_image(image[:8, :8, 0], GREY)[..., 0], image[:8, :8, 0])


def test_the_middle_of_a_wide_image_is_kept() -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = 255
    assert fit_image(wide, COLOUR).min() > 250


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8), np.float32), np.zeros((8, 8, 4), np.uint8), np.zeros(8, np.uint8), np.zeros((0, 8), np.uint8)],
)
def test_what_is_no_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="uint8"):
        fit_image(image, GREY)


@pytest.mark.parametrize("raw", [b"", b"not an image", encoded("RGB", kind="JPEG")[:200]])
def test_a_broken_file_is_one_line(raw: bytes) -> None:
    with pytest.raises(DataError, match="cannot read image") as caught:
        decode_image(raw)
    assert "\n" not in str(caught.value)


def photograph(size: tuple[int, int], kind: str = "JPEG") -> bytes:
    """Slopes, edges and grain, of (width, height) pixels."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    plane = 90 + 60 * np.sin(x / 37) * np.cos(y / 53) + 50 * ((x // 80 + y // 96) % 2)
    colours = plane[..., None] * (1.0, 0.8, 0.6) + np.random.default_rng(5).normal(0, 6, (*plane.shape, 3))
    buffer = io.BytesIO()
    Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(buffer, kind, quality=85)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("size", "part"),
    [
        ((640, 480), 2),
        ((1536, 1600), 8),
        ((1535, 1800), 4),
        ((384, 401), 2),
        ((383, 960), 1),
        ((32, 32), 1),
        ((20, 9), 1),
    ],
)
def test_a_large_jpeg_is_decoded_in_the_smallest_part_that_has_six_times_the_pixels_each_way(
    size: tuple[int, int], part: int
) -> None:
    raw = photograph(size)
    assert decode_image(raw).shape == (size[1], size[0], 3)
    assert decode_image(raw, fit=COLOUR).shape == (-(-size[1] // part), -(-size[0] // part), 3)
    if part == 1:
        assert np.array_equal(decode_image(raw, fit=COLOUR), decode_image(raw))


@pytest.mark.parametrize("wanted", [GREY, COLOUR, Preprocess(64, 64, 3, (0.5,) * 3, (0.5,) * 3)])
@pytest.mark.parametrize("size", [(800, 600), (333, 500), (1601, 1207)])
def test_what_is_fitted_of_a_part_is_what_is_fitted_of_the_whole(size: tuple[int, int], wanted: Preprocess) -> None:
    """To a fifth of a pixel: the last row and column of a part may stand for less than the others."""
    raw = photograph(size)
    whole, part = (fit_image(decode_image(raw, fit=one), wanted).astype(int) for one in (None, wanted))
    shifted = np.roll(whole, 1, axis=1)
    assert np.abs(part - whole).mean() < np.abs(shifted - whole).mean() / 5


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_other_formats_are_decoded_whole(kind: str) -> None:
    raw = photograph((480, 360), kind)
    assert np.array_equal(decode_image(raw, fit=GREY), decode_image(raw))


def test_a_picture_on_its_side_is_measured_as_it_will_stand() -> None:
    """Twice as wide as high, and to be fitted to half as wide as high: only once turned has it pixels to spare."""
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.open(io.BytesIO(photograph((800, 400)))).save(buffer, "JPEG", exif=exif)
    upright = Preprocess(32, 16, 3, (0.5,) * 3, (0.5,) * 3)
    assert decode_image(buffer.getvalue(), fit=upright).shape == (200, 100, 3)


@pytest.mark.parametrize("size", [(32, 32), (40, 30)])
def test_what_is_fitted_can_be_written_to(size: tuple[int, int]) -> None:
    decoded = decode_image(encoded("RGB", size, "JPEG"))
    before = decoded.copy()
    fit_image(decoded, COLOUR)[:] = 7
    assert np.array_equal(decoded, before)


def test_transmitter_and_evaluation_see_the_same_pixels_of_a_large_jpeg(tmp_path: Path) -> None:
    pair = find_pair("cifar10")
    for number, split in enumerate(("train", "test")):
        folder = tmp_path / split / "ship"
        folder.mkdir(parents=True)
        (folder / "one.jpg").write_bytes(photograph((640, 480 + number)))
    evaluated = load_for(pair, str(tmp_path), "test").images
    for spec in (str(tmp_path / "test"), f"dataset:{tmp_path}:test"):
        (capture,) = Source(spec, pair).captures()
        assert np.array_equal(fit_image(capture.image, pair.preprocess), evaluated[0])
    assert not np.array_equal(fit_image(decode_image(photograph((640, 481))), pair.preprocess), evaluated[0])


def test_class_folders_and_their_held_out_tenth(tmp_path: Path) -> None:
    for split, count in (("train", 20), ("test", 4)):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for k in range(count):
                (tmp_path / split / name / f"{k}.png").write_bytes(encoded("RGB", (30 + k, 30)))
    parts = {split: load_images(str(tmp_path), split, COLOUR) for split in ("train", "validation", "test")}
    assert [len(parts[split]) for split in ("train", "validation", "test")] == [36, 4, 8]
    assert parts["test"].classes == ("cat", "dog")
    assert parts["test"].labels.tolist() == [0] * 4 + [1] * 4
    with pytest.raises(DataError, match="differ in size"):
        load_images(str(tmp_path), "train")


def test_a_class_that_one_split_lacks_does_not_renumber_the_others(tmp_path: Path) -> None:
    for place in ("train/ant", "train/bee", "train/.cache", "test/bee"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "a.png").write_bytes(encoded("RGB", (30, 30)))
    train, test = (load_images(str(tmp_path), split, COLOUR) for split in ("train", "test"))
    assert train.classes == test.classes == ("ant", "bee")
    assert test.labels.tolist() == [1]


def test_labels_are_matched_with_those_of_a_pair_by_name(tmp_path: Path) -> None:
    pair = find_pair("cifar10")
    for name in ("truck", "bird"):
        (tmp_path / "test" / name).mkdir(parents=True)
        (tmp_path / "test" / name / "a.png").write_bytes(encoded("RGB", (30, 30)))
    found = load_for(pair, str(tmp_path), "test")
    assert [pair.labels[label] for label in found.labels] == ["bird", "truck"]
    assert found.classes == pair.labels
    (tmp_path / "test" / "zebra").mkdir()
    (tmp_path / "test" / "zebra" / "a.png").write_bytes(encoded("RGB", (30, 30)))
    with pytest.raises(DataError, match="pair cifar10 does not know: zebra"):
        load_for(pair, str(tmp_path), "test")
    assert load_images(str(tmp_path), "test", COLOUR).labels_among(pair.labels) == [2, 9, None]
    numbered = ImageSet("table", np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 2]), ("0", "1", "2"))
    assert numbered.labels_among(pair.labels) == [0, 2]


def test_parquet_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the `datasets` library is not installed")
    rows = {"img": [{"bytes": encoded("RGB", (32, 32)), "path": None}] * 6, "label": [0, 1, 2, 0, 1, 2]}
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    for split in ("train", "test"):
        datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / f"{split}-00000.parquet")
    test = load_images(str(tmp_path), "test")
    assert (test.images.shape, test.classes) == ((6, 32, 32, 3), ("a", "b", "c"))
    assert test.name == tmp_path.name
    path = tmp_path / "test-00000.parquet"
    whole = path.read_bytes()
    for broken in (whole[:-100], whole[:300] + bytes(200) + whole[500:], b""):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="cannot read"):
            load_images(str(tmp_path), "test")
    rows["label"][2] = -1
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
    with pytest.raises(DataError, match="without a label"):
        load_images(str(tmp_path), "test")


@pytest.mark.parametrize(
    ("spec", "split", "reason"),
    [
        ("no-such-set", "test", "unknown data set"),
        ("digits", "dev", "unknown split"),
        ("./nowhere", "test", "unknown data"),
        ("", "test", "unknown data set ''"),
        (__file__, "test", r"test_images\.py is a file: give the folder"),
    ],
)
def test_unknown_names_are_wrong_use(spec: str, split: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load_images(spec, split)


def test_an_empty_folder_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no test split.*test-\*\.parquet"):
        load_images(str(tmp_path), "test")


def test_a_picture_of_too_many_pixels_says_so() -> None:
    size = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", size), (b"IDAT", b""))
    png = b"".join(struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in chunks)
    with pytest.raises(DataError, match=r"cannot read image: it has more than \d+ million pixels; make it smaller"):
        decode_image(b"\x89PNG\r\n\x1a\n" + png)


def test_some_of_a_set_that_lies_by_class_are_of_all_classes_and_of_a_mixed_one_the_first() -> None:
    labels = np.repeat([2, 0, 1], [50, 100, 150])
    images = np.arange(300, dtype=np.uint16).astype(np.uint8).reshape(300, 1, 1, 1)
    by_class = ImageSet("a", images, labels, ("x", "y", "z"))
    assert np.bincount(by_class.some(30).labels).tolist() == [10, 15, 5]
    order = np.random.default_rng(0).permutation(300)
    mixed = by_class.take(order)
    assert (mixed.some(30).images == mixed.images[:30]).all()
    for one in (by_class, mixed):
        assert all((one.some(most).images == one.images).all() for most in (None, 300, 1000))
    alone = ImageSet("b", images, np.zeros(300, np.int64), ("x",))
    assert len(alone.some(3)) == 3
    two_each = ImageSet("c", images[:200], np.repeat(np.arange(100), 2), tuple(map(str, range(100))))
    assert len(set(two_each.some(100).labels.tolist())) == 100


def test_the_data_that_ship_are_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_images("digits", "test")
    assert (digits.some(20).images == digits.images[:20]).all()
