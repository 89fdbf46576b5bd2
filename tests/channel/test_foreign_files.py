"""Files from others: whatever is in them, one line says so, within bounded time and memory."""

import copy
import io
import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.channel.files.recording import Recorder
from common.channel.files.replay import Recording
from common.channel.files.schedule import load_schedule
from common.channel.spec.profiles import read_taps
from common.channel.spec.spec import ChannelSpec
from common.channel.spec.trace import CirTrace, SnrTrace
from common.channel.streams.channel import Channel, Truth
from common.errors import ConfigError


def npy(claim: dict[str, Any], data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An array file that claims to be something."""
    text = (str(claim) if isinstance(claim, dict) else claim).encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def claim(shape: Any = (2,), descr: Any = "<f8", order: bool = False) -> dict[str, Any]:
    return {"descr": descr, "fortran_order": order, "shape": shape}


def archive(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return made.getvalue()


def encrypted() -> bytes:
    made = bytearray(archive(air_sample=npy(claim(), bytes(16)), snr_db=npy(claim(), bytes(16))))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        where = -1
        while (where := made.find(mark, where + 1)) >= 0:
            made[where + at] |= 1
    return bytes(made)


GOOD = npy(claim(), np.array([0.0, 100.0]).tobytes())


def bomb() -> bytes:
    """A quarter of a gigabyte in little: made when it is asked for, and not wherever this file is read."""
    return archive(air_sample=npy(claim((1 << 25,)), bytes(8 << 25)), snr_db=GOOD)


WRONG_ARCHIVES: dict[str, bytes | Callable[[], bytes]] = {
    "terabytes": archive(air_sample=npy(claim((2**40,)), bytes(64)), snr_db=GOOD),
    "product overflows": archive(air_sample=npy(claim((2**40, 2**40)), bytes(64)), snr_db=GOOD),
    "negative": archive(air_sample=npy(claim((-2, -1)), bytes(16)), snr_db=GOOD),
    "no numbers": archive(air_sample=npy(claim(("a",)), bytes(16)), snr_db=GOOD),
    "objects": archive(air_sample=npy(claim(descr="|O"), b"\x80\x04N."), snr_db=GOOD),
    "text": archive(air_sample=npy(claim(descr="<U4"), bytes(32)), snr_db=GOOD),
    "dates": archive(air_sample=npy(claim(descr="<M8[s]"), bytes(16)), snr_db=GOOD),
    "record": archive(air_sample=npy(claim(descr=[("a", "<f4"), ("b", "<f4")]), bytes(16)), snr_db=GOOD),
    "no header": archive(air_sample=b"\x93NUMPY\x01\x00\xff\xff", snr_db=GOOD),
    "code in header": archive(air_sample=npy("__import__('os').abort()"), snr_db=GOOD),
    "deep header": archive(air_sample=npy("(" * 5000), snr_db=GOOD),
    "version 9": archive(air_sample=npy(claim(), bytes(16), b"\x09\x00"), snr_db=GOOD),
    "missing": archive(snr_db=GOOD),
    "encrypted": encrypted(),
    "bomb": bomb,
    "cut": archive(air_sample=GOOD, snr_db=GOOD)[:-30],
    "empty": b"", "no archive": b"PK\x03\x04" + bytes(100),
    "short data": archive(air_sample=npy(claim((9,))), snr_db=GOOD),
    "scalar": archive(air_sample=npy(claim(()), bytes(8)), snr_db=GOOD),
    "complex times": archive(air_sample=npy(claim(descr="<c16"), np.array([0, 9 + 1j]).tobytes()), snr_db=GOOD),
    "not finite": archive(air_sample=npy(claim(), np.array([0.0, np.inf]).tobytes()), snr_db=GOOD),
    "nan": archive(air_sample=npy(claim(), np.array([0.0, np.nan]).tobytes()), snr_db=GOOD),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_ARCHIVES)
def test_an_archive_is_not_believed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "trace.npz"
    raw = WRONG_ARCHIVES[kind]
    path.write_bytes(raw if isinstance(raw, bytes) else raw())
    with pytest.raises(ConfigError, match=r"trace\.npz") as error:
        SnrTrace(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 700


def test_what_numpy_writes_is_read(tmp_path: Path) -> None:
    for save in (np.savez, np.savez_compressed):
        for kind in ("<f8", ">f4", "<i4", "u2"):
            save(tmp_path / "t.npz", air_sample=np.array([0, 1000], kind), snr_db=np.array([3, 7], kind))
            found = SnrTrace(tmp_path / "t.npz").amplitudes(999, 2)
            np.testing.assert_allclose(found, 10 ** (-np.array([3, 7]) / 20), rtol=1e-6)
        h = np.asfortranarray(np.array([1, 2j, 3], np.complex64))
        save(tmp_path / "c.npz", h=h, interval=10)
        np.testing.assert_allclose(CirTrace(tmp_path / "c.npz").samples(0, 11)[[0, 10]], [1, 2j])


def odd_places(folder: Path) -> list[Path]:
    """Names that are no regular file."""
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "nowhere").symlink_to(folder / "none")
    (folder / "pipe").symlink_to(folder / "fifo")
    return [
        *(folder / name for name in ("fifo", "folder", "loop", "nowhere", "pipe", "missing", "zero\0byte", "x" * 300)),
        Path("/dev/zero"), Path("/proc/self/mem"), Path("\udcff\x1b[31m"),
    ]  # fmt: skip


READERS: dict[str, Callable[[Path], Any]] = {
    "snr": SnrTrace, "cir": CirTrace, "schedule": lambda path: load_schedule(path, ChannelSpec()),
    "profile": lambda path: read_taps(f"{path}.csv").at(0.0, 1e6), "recording": Recording,
    "spectrum": lambda path: Channel(ChannelSpec(fading="rayleigh", spectrum=f"{path}.csv")),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_only_regular_files_are_read(tmp_path: Path, reader: str) -> None:
    for path in odd_places(tmp_path):
        if reader in ("profile", "spectrum") and path.parent == tmp_path and "\0" not in path.name:
            with suppress(OSError):
                path.rename(f"{path}.csv")
        with pytest.raises(ConfigError) as error:
            READERS[reader](path)
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 700


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "snr.csv").write_text("0,3\n1000,9\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "snr.csv")
    assert SnrTrace(tmp_path / "link.csv").amplitudes(0, 1).size == 1


# -- fuzz


def recording(folder: Path) -> tuple[bytes, dict[str, Any]]:
    recorder = Recorder(folder / "good", ChannelSpec())
    for number in range(3):
        recorder.samples(0, 100 * number, np.ones(4, np.complex64), Truth(1.0 + 0.0j, 10.0, 1.0))
    recorder.close()
    return (folder / "good.sigmf-data").read_bytes(), json.loads((folder / "good.sigmf-meta").read_text())


CELLS = [
    "0", "1", "-1", "1e9", "1e400", "nan", "inf", "", "snr", "doppler", "fading", "tdl-a", "rate", "cfo", "coherence",
    "rician", "k-factor", "\0", "\x1b[2J", '"', '""', ";", "9" * 400, "0x10", "1_0", "١", "none.csv", "trace", "128.5",
    "los-doppler", "phase-noise", "snr-trace", "../x.npz", "#", "1,5", "shadowing-length",
]  # fmt: skip
THINGS: list[Any] = [
    None, -1, 0, 1, 2**70, 1.5, 1e308, "", "zz", "00", [], {}, [[1]], True, "x" * 5000, {"core:sha512": 1},
]  # fmt: skip


def table(random: np.random.Generator) -> bytes:
    """Rows of a table of two or three columns with something odd in them."""
    rows = [[str(128 * number), *random.choice(CELLS, int(random.integers(1, 3)))] for number in range(5)]
    for _ in range(int(random.integers(0, 4))):
        row = rows[int(random.integers(len(rows)))]
        row[int(random.integers(len(row)))] = str(random.choice(CELLS))
    text = random.choice([",", ";", "\t"]).join("\n".join(",".join(row) for row in rows).split(","))
    body = text.encode(str(random.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1"])), "replace")
    at = int(random.integers(len(body)))
    return body if random.random() < 0.6 else body[:at] + random.bytes(int(random.integers(0, 4))) + body[at + 1 :]


def damaged(random: np.random.Generator, content: bytes) -> bytes:
    made = bytearray(content)
    for _ in range(int(random.integers(1, 6))):
        made[int(random.integers(len(made)))] = int(random.integers(256))
    return bytes(made[: int(random.integers(1, len(made) + 1))]) if random.random() < 0.3 else bytes(made)


def described(random: np.random.Generator, about: dict[str, Any]) -> bytes:
    """A description of a recording with something odd in it."""
    made = json.loads(json.dumps(about))
    for _ in range(int(random.integers(1, 3))):
        place: Any = made
        while isinstance(place, dict | list) and len(place):
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = keys[int(random.integers(len(keys)))]
            if not isinstance(place[key], dict | list) or random.random() < 0.3:
                place[key] = copy.deepcopy(THINGS[int(random.integers(len(THINGS)))])
                break
            place = place[key]
    return json.dumps(made).encode()


def fuzz(folder: Path, count: int, seed: int) -> int:
    """Odd files of every kind -> how many were refused. Nothing but ConfigError, and only printable lines of it."""
    random, refused = np.random.default_rng(seed), 0
    data, about = recording(folder)
    gains = npy(claim(descr="<c8"), bytes(16))
    good = archive(air_sample=GOOD, snr_db=GOOD, h=gains, interval=npy(claim(()), bytes(8)))
    path, packed, odd = folder / "f.csv", folder / "f.npz", folder / "odd"
    readers: tuple[Callable[[], Any], ...] = (
        lambda: SnrTrace(path), lambda: CirTrace(path), lambda: read_taps(str(path)).at(0.0, 1e6),
        lambda: load_schedule(path, ChannelSpec(), framed=True), lambda: load_schedule(path, ChannelSpec(rate=1e6)),
        lambda: SnrTrace(packed), lambda: CirTrace(packed), lambda: play(odd),
    )  # fmt: skip
    for _ in range(count):
        path.write_bytes(table(random))
        packed.write_bytes(damaged(random, good))
        (folder / "odd.sigmf-data").write_bytes(data if random.random() < 0.7 else damaged(random, data))
        (folder / "odd.sigmf-meta").write_bytes(
            described(random, about) if random.random() < 0.7 else damaged(random, json.dumps(about).encode())
        )
        for read in readers:
            try:
                read()
            except ConfigError as error:
                refused += 1
                if not str(error).isprintable() or len(str(error)) > 1500:
                    pytest.fail(repr(error))
    return refused


def play(path: Path) -> None:
    with Recording(path) as found:
        assert sum(piece.samples.size for piece in found.pieces) <= 12


def test_hundreds_of_odd_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    tracemalloc.start()
    assert fuzz(tmp_path, 40, 0) > 150
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_thousands_of_odd_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    for seed in range(1, 9):
        (tmp_path / str(seed)).mkdir()
        fuzz(tmp_path / str(seed), 500, seed)
