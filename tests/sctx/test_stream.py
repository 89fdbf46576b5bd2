"""Pictures out of a stream of bytes: each one, whatever lies in it and between them; bounded work, bounded memory."""

import io
import logging
import os
import random
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, repeat

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from common.images.photo import decode_image
from common.pair.manifest import find_pair
from sctx.capture import stdin as stream
from sctx.capture.source import Source
from sctx.capture.stdin import Pictures

MANIFEST = find_pair("digits")


def picture(value: int, kind: str = "JPEG", **options: bool) -> bytes:
    out = io.BytesIO()
    pixels = np.full((10, 20, 3), value, np.uint8)
    pixels[::2, ::3] //= 2
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def in_pieces(raw: bytes, sizes: Iterator[int]) -> Callable[[int], bytes]:
    """As a pipe gives them: never more than asked for."""
    whole = io.BytesIO(raw)
    return lambda count: whole.read(min(count, next(sizes)))


MANY = [picture(k, kind, **({"progressive": True} if k % 2 and kind == "JPEG" else {}))
        for k in range(10, 250, 60) for kind in ("JPEG", "PNG", "WEBP")]  # fmt: skip


@pytest.mark.parametrize("between", [b"", b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n", b"\0\0\xff"])
def test_pictures_of_three_formats_come_out_whole_in_pieces_of_any_size(between: bytes) -> None:
    rng = random.Random(0)
    for largest in (1, 7, 100, 70_000):
        sizes = (rng.randint(1, most) for most in repeat(largest))
        pictures = Pictures(in_pieces(between.join(MANY), sizes))
        assert list(pictures) == MANY
        assert pictures.lost == 0
        assert pictures.passed_over == len(between) * (len(MANY) - 1)


@pytest.mark.parametrize("junk", [b"\x01\x02junk", b"GIF89a" + bytes(200) + b"\x90", b"\xff\xd8\xff\xe0\0\x10cut",
                                  b"\x89PNG\r\n\x1a\n" + b"\xff" * 40, b"RIFF\1\0\0\0WEBPVP8 "])  # fmt: skip
def test_what_is_no_picture_is_counted_once_where_it_lies(junk: bytes) -> None:
    pictures = Pictures(io.BytesIO(junk + MANY[0] + junk + MANY[1] + MANY[3] + junk).read)
    found = [one for one in pictures if one in MANY]
    assert found == [MANY[0], MANY[1], MANY[3]]
    assert pictures.lost in (2, 3)  # what is cut short at the very end comes out as a picture that cannot be read


@pytest.mark.parametrize("thumbnail", [False, True])
def test_the_further_pictures_of_a_photograph_are_none_of_their_own(thumbnail: bool) -> None:
    """As phones write them: a gain map, a depth map, the other eye."""
    out = io.BytesIO()
    frames = [Image.new("RGB", (40 + 8 * k, 40), (9 * k, 0, 0)) for k in range(3)]
    directory = b"Exif\0\0II*\0\x08\0\0\0" + bytes(6) + (MANY[3] if thumbnail else b"")
    frames[0].save(out, "MPO", save_all=True, append_images=frames[1:], exif=directory)
    photograph = out.getvalue()
    shapes = [c.image.shape for c in Source("-", MANIFEST, io.BytesIO((photograph + MANY[0]) * 2).read).captures()]
    assert shapes == [(40, 40, 3), (10, 20, 3)] * 2
    assert decode_image(photograph).shape == (40, 40, 3)
    second = photograph.index(b"\xff\xd8\xff", 4 if not thumbnail else photograph.index(MANY[3]) + 4)
    alone = photograph[:second]  # what an editor leaves: it still speaks of the others
    source = Source("-", MANIFEST, io.BytesIO(alone + b"".join(MANY)).read)
    assert len(list(source.captures())) == 1 + len(MANY)


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def behind(jpeg: bytes, *, xmp: bytes = b"", more: bytes = b"") -> bytes:
    body = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    return jpeg[:2] + (b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body if xmp else b"") + jpeg[2:] + more


INNER = bytes(5000) + MANY[3] + bytes(range(256)) * 20
"""With a JPEG in it."""
VIDEO = box(b"ftyp", b"mp42\0\0\0\0mp42isom") + box(b"moov", bytes(90)) + box(b"mdat", INNER)
HEIC = box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(b"meta", bytes(90)) + box(b"mdat", INNER)
NOTES = b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1600000000000" + b"SEFH" + bytes(24) + b"SEFT"
MOVING = b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data" + VIDEO + b"SEFH" + bytes(24) + b"SEFT"
PIXEL = b'<rdf:Description GCamera:MicroVideo="1" GCamera:MicroVideoOffset="5"/>'


@pytest.mark.parametrize(
    ("photograph", "lost"),
    [
        (behind(MANY[0], xmp=PIXEL, more=VIDEO), 0),
        (behind(MANY[0], xmp=PIXEL.replace(b"MicroVideo", b"MotionPhoto"), more=VIDEO), 0),
        (behind(MANY[0], xmp=PIXEL), 0),  # an editor took the video away
        (behind(MANY[0], more=NOTES), 0),
        (behind(MANY[0], more=MOVING), 0),
        (behind(MANY[0], more=VIDEO), 1),  # a file of its own
        (behind(MANY[0], more=HEIC), 1),
        (behind(MANY[0], xmp=PIXEL, more=VIDEO + HEIC), 1),
    ],
)  # fmt: skip
def test_what_phones_append_is_no_picture_and_other_files_are_passed_over_whole(photograph: bytes, lost: int) -> None:
    for largest in (7, 70_000):
        raw = (photograph + MANY[1]) * 2 + photograph
        source = Source("-", MANIFEST, in_pieces(raw, repeat(largest)))
        assert len(list(source.captures())) == 5
        assert source.unreadable == 3 * lost


def test_of_pictures_that_are_cut_short_none_takes_the_next_with_it() -> None:
    for kind, most in (("JPEG", 30), ("PNG", 40)):  # bytes of the scan; of the last chunks
        first, second = picture(30, kind), picture(90, kind)
        for lacking in range(1, most):
            source = Source("-", MANIFEST, io.BytesIO(first[:-lacking] + second + MANY[2]).read)
            found = [capture.image for capture in source.captures()]
            assert np.array_equal(found[-2], decode_image(second)), (kind, lacking)
            assert source.unreadable + len(found) == 3


def test_a_finite_stream_is_no_live_source_and_loses_nothing() -> None:
    source = Source("-", MANIFEST, io.BytesIO(b"".join(MANY)).read)
    found = list(source.captures())
    assert [c.index for c in found] == list(range(len(MANY)))
    assert [c.file for c in found] == [f"-#{index}" for index in range(len(MANY))]  # what their answers are shown by
    assert source.unreadable == 0


@pytest.mark.parametrize("left", [4, 40, 0.5])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_stream_that_ends_inside_a_picture_says_so(kind: str, left: float, caplog: pytest.LogCaptureFixture) -> None:
    last = picture(99, kind)
    cut = last[: int(left) if left > 1 else int(len(last) * left)]
    if len(cut) < 8:
        cut = picture(98, kind)[:30]
    source = Source("-", MANIFEST, io.BytesIO(MANY[0] + cut).read)
    assert len(list(source.captures())) == 1
    assert source.unreadable == 1
    why = caplog.records[-1].__dict__["why"]
    assert "on standard input" in why or "what lies after the last picture" in why


def test_junk_between_pictures_is_told_and_counted_among_the_unreadable(caplog: pytest.LogCaptureFixture) -> None:
    out = io.BytesIO()
    Image.new("RGB", (30, 30)).save(out, "GIF")
    source = Source("-", MANIFEST, io.BytesIO(MANY[0] + out.getvalue() + MANY[1] + out.getvalue()).read)
    assert len(list(source.captures())) == 2
    assert source.unreadable == 2
    assert [record.__dict__["why"] for record in caplog.records] == [
        "what lies before picture 1 is neither JPEG, PNG nor WebP",
        "what lies after the last picture is neither JPEG, PNG nor WebP",
    ]


FLOODS = {
    "FF 00": b"\xff\x00", "FF D8": b"\xff\xd8", "FF": b"\xff", "FF D8 FF": b"\xff\xd8\xff",
    "FF D8 FF E0": b"\xff\xd8\xff\xe0", "starts in segments": b"\xff\xe0\0\x08\xff\xd8\xff\xe0\0\2",
    "scans": b"\xff\xd8\xff\xda\0\2", "starts": b"\xff\xd8\xff\xe0\0\2", "zeros": bytes(1), "text": b"text ",
    "boxes": b"\0\0\0\x08ftyp", "more boxes": b"\0\0\0\x08free", "notes": NOTES[:24],
    "PNG signatures": b"\x89PNG\r\n\x1a\n", "PNG chunks": b"\0\0\0\0tEXt\0\0\0\0", "RIFF": b"RIFF\4\0\0\0WEBP",
}  # fmt: skip
HEADS = {"FF 00": MANY[0][:-2], "more boxes": VIDEO[:24], "notes": MANY[0], "PNG chunks": MANY[1][:33]}


def flood(kind: str, blocks: int) -> float:
    """CPU seconds for each MiB, of which a block is a sixteenth."""
    block = FLOODS[kind] * ((1 << 16) // len(FLOODS[kind]))
    chunks = chain([HEADS[kind]] if kind in HEADS else [], repeat(block, blocks))
    started = time.process_time()
    with suppress(DataError):
        for _ in Pictures(lambda count: next(chunks, b"")):
            pass
    return (time.process_time() - started) / blocks * 16


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_costs_time_in_proportion(kind: str) -> None:
    assert flood(kind, 8) < 1.5


@pytest.mark.full
@pytest.mark.parametrize("kind", FLOODS)
def test_a_long_flood_costs_no_more_for_each_mebibyte(kind: str) -> None:
    assert flood(kind, 8 * 16) < 1.5


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """A limit of 1 MiB, which is reached sooner."""
    monkeypatch.setattr(stream, "MAX_BYTES", 1 << 20)
    return 1 << 20


def test_a_picture_without_end_is_dropped_and_the_next_one_read(small: int) -> None:
    chunks = chain([MANY[0], MANY[3][:-2]], repeat(b"\xff\x00" * 4096, 150), [b"\xff\xd9", MANY[3]])
    kept, largest = [], 0

    def read(count: int) -> bytes:
        nonlocal largest
        largest = max(largest, len(pictures._buffer))
        return next(chunks, b"")

    pictures = Pictures(read)
    kept = list(pictures)
    assert kept == [MANY[0], MANY[3]]
    assert pictures.lost == 1
    assert largest <= small


def test_a_stream_without_pictures_ends_the_run_after_a_while(small: int) -> None:
    with pytest.raises(DataError, match="no picture within 1 MiB; give JPEG, PNG or WebP pictures"):
        list(Pictures(lambda count: b"words and words " * 4096))


def fuzz(seed: int, count: int) -> None:
    """Mutated streams: every picture that was not touched comes out, unless it lies right behind one that was."""
    rng = random.Random(seed)
    for _ in range(count):
        chosen = rng.sample(range(len(MANY)), 5)
        parts = [bytearray(MANY[k]) for k in chosen]
        hurt = rng.randrange(5)
        for _ in range(rng.randint(1, 5)):
            parts[hurt][rng.randrange(len(parts[hurt]))] = rng.choice([0, 0xFF, 0xD8, 0xD9, rng.randrange(256)])
        found = list(Pictures(in_pieces(b"".join(parts), iter(lambda: rng.randint(1, 999), 0))))
        for place, k in enumerate(chosen):
            assert place in (hurt, hurt + 1) or any(MANY[k] in one for one in found) or place > hurt
        assert found[:hurt] == [MANY[k] for k in chosen[:hurt]]


def test_mutated_streams_give_the_pictures_before_the_damage() -> None:
    fuzz(seed=0, count=150)


@pytest.mark.full
def test_mutated_streams_at_length() -> None:
    for seed in range(1, 5):
        fuzz(seed, 1000)


def test_standard_input_that_is_slow_or_does_not_wait_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    before = os.dup(0)
    os.dup2(reading, 0)

    def feed() -> None:
        with open(writing, "wb", buffering=0) as pipe:
            for one in MANY[:3]:
                for start in range(0, len(one), 200):
                    pipe.write(one[start : start + 200])
                    time.sleep(0.001)

    feeder = threading.Thread(target=feed)
    try:
        source = Source("-", MANIFEST)
        feeder.start()
        assert len(list(source.captures())) == 3
    finally:
        feeder.join()
        os.dup2(before, 0)
        os.close(before)
        os.close(reading)


def test_a_closed_standard_input_is_one_line() -> None:
    program = (
        "import os; os.close(0)\nfrom common.pair.manifest import find_pair\nfrom sctx.capture.source import Source\n"
        "Source('-', find_pair('digits'))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stderr.splitlines()[-1] == "common.errors.ConfigError: source -: standard input is closed"


def test_a_terminal_is_no_stream_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: True)
    with pytest.raises(ConfigError, match="standard input is a terminal"):
        Source("-", MANIFEST)


def test_a_flood_of_bad_pictures_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    bad = MANY[0].replace(b"\xff\xdb", b"\xff\xfe")  # no quantisation tables
    source = Source("-", MANIFEST, io.BytesIO(MANY[0] + bad * 50 + MANY[1]).read)
    with caplog.at_level(logging.WARNING):
        assert len(list(source.captures())) == 2
    assert source.unreadable == 50
    assert len(caplog.records) == 10
