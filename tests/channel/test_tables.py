"""CSV files as spreadsheets write them give the right numbers, or one line that says what is wrong and where."""

from pathlib import Path

import numpy as np
import pytest

from common.channel.files.schedule import load_schedule
from common.channel.spec.csvfile import read_columns
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.errors import ConfigError

COLUMNS = ("air_sample", "snr_db")
TABLE = [[0.0, 10.5], [1000.0, -3.25], [250000.0, 0.0]]


def written(
    delimiter: str = ",", ending: str = "\n", header: str | None = "air_sample,snr_db", quoted: bool = False,
    point: str = ".", blank: bool = False, trailing: int = 0, spaces: bool = False, first: str = "",
) -> str:  # fmt: skip
    """TABLE as somebody's program writes it."""
    lines = [first] if first else []
    if header is not None:
        lines.append(header.replace(",", delimiter))
    for row in TABLE:
        cells = [f"{value:g}".replace(".", point) for value in row]
        cells = [f'"{cell}"' if quoted or delimiter in cell else cell for cell in cells]
        lines.append((f" {delimiter} " if spaces else delimiter).join(cells))
        if blank:
            lines += ["", delimiter * 3]
    return ending.join(line + delimiter * trailing * bool(line) for line in lines) + ending


SPREADSHEETS = {
    "plain": written(),
    "crlf": written(ending="\r\n"),
    "old mac": written(ending="\r"),
    "quoted": written(quoted=True, header='"air_sample","snr_db"'),
    "no header": written(header=None),
    "capitals": written(header="Air_Sample,SNR_dB"),
    "blank lines": written(blank=True, ending="\r\n"),
    "trailing commas": written(trailing=3),
    "spaces": written(spaces=True),
    "comments": written(first="# made by hand"),
    "semicolons": written(";"),
    "german": written(";", point=",", ending="\r\n"),
    "german, no header": written(";", point=",", header=None),
    "german, quoted": written(";", point=",", quoted=True, header='"air_sample";"snr_db"'),
    "german, trailing": written(";", point=",", trailing=2, blank=True),
    "comma in quotes": written(",", header=None, quoted=True),
    "tabs": written("\t"),
    "sep line": written(";", point=",", first="sep=;", ending="\r\n"),
    "sep comma": written(first="sep=,"),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-32"])
@pytest.mark.parametrize("kind", SPREADSHEETS)
def test_a_table_from_a_spreadsheet_is_read(tmp_path: Path, kind: str, encoding: str) -> None:
    text = SPREADSHEETS[kind]
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xff\xfe" + text.encode("utf-16-le") if encoding.endswith("bom") else text.encode(encoding))
    np.testing.assert_array_equal(read_columns(path, COLUMNS), TABLE)


def test_a_header_decides_which_column_is_which(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("comment,SNR_dB,,air_sample\nrising,1,,0\n,2,,100\nend,3,,200\n")
    np.testing.assert_array_equal(read_columns(path, COLUMNS), [[0, 1], [100, 2], [200, 3]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,1\n5,2,7\n", "line 2: 3 columns instead of air_sample,snr_db"),
        ("0\n", "line 1: 1 columns"),
        ("air_sample,snr_db\n0,1\n5\n", "line 3: 1 columns"),
        ("air_sample,snr_db,note\n0,1,a\n5,2,b,c\n", "line 3: 4 columns"),
        ("time,snr\n0,1\n", "line 1: 'time' is not a number; expected air_sample,snr_db"),
        ("air_sample;snr_db\n0;1.5\n5;2,5\n", "line 3: '2,5': numbers with a comma and numbers with a point"),
        ("air_sample;snr_db\n0;1.234,5\n", "'1.234,5' is not a number"),
        ("air_sample\tsnr_db\n0\t1,5\n", "'1,5' is not a number"),
        ("0,\n", "'' is not a number"),
        ("0,1\n5,inf\n", "not finite"),
        ("0,1\n5,1e999\n", "not finite"),
        ("air_sample,snr_db\n", "has no rows"),
        ("", "has no rows"),
        ('0,"1\n5,2\n', "cannot be read"),
        ("0," + "1" * 200_000 + "\n", "cannot be read: field larger than field limit"),
        ("0,\x1b[31mred\n", r"'\\x1b\[31mred' is not a number"),
        ("0,\0\n", r"'\\x00' is not a number"),
    ],
)
def test_a_table_that_means_nothing_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as error:
        read_columns(path, COLUMNS)
    assert len(str(error.value)) < 700
    assert str(error.value).isprintable()


@pytest.mark.parametrize("bytes_", [b"0,\xff\xfe1\n", b"\xff\xfe0", "0,1\n".encode("utf-16")[:-1]])
def test_bytes_that_are_no_text_are_named(tmp_path: Path, bytes_: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(bytes_)
    with pytest.raises(ConfigError, match=r"table\.csv"):
        read_columns(path, COLUMNS)


def test_schedules_profiles_spectra_and_traces_are_read_alike(tmp_path: Path) -> None:
    def write(name: str, text: str) -> str:
        (tmp_path / name).write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
        return str(tmp_path / name)

    plan = write("plan.csv", "air_sample;parameter;value\n0;snr;12,5\n;;\n1E+03;k-factor;2,0;;\n2000,0;coherence;64\n")
    read = load_schedule(Path(plan), ChannelSpec())
    assert [read.mark(k).clocks.at for k in range(len(read))] == [0, 1000, 2000]
    assert (read.spec.snr_db, read.mark(2).model.spec.coherence) == (12.5, 64)
    profile = write("profile.csv", "power_db;delay_ns\n0;0\n-3,0;1000\n")
    spectrum = write("spectrum.csv", '"nu","density"\n"-1","0"\n"0","1"\n"1","0"\n')
    snr, cir = write("snr.csv", "0;3,5\n1000;7\n"), write("cir.csv", "air_sample,im,re\n0,0,1\n100,1,0\n")
    spec = ChannelSpec(fading=profile, rate=2e6, spectrum=spectrum, snr_trace=snr)
    model = Channel(spec)._plan.mark(0).model
    np.testing.assert_allclose(model.profile.delays, [0.0, 2.0])
    np.testing.assert_allclose(model.snr_trace.amplitudes(999, 2), 10 ** (-np.array([3.5, 7.0]) / 20), rtol=1e-6)
    h = Channel(ChannelSpec(fading="trace", cir_trace=cir)).fading(0, 0, 101)
    np.testing.assert_allclose(h[[0, 50]], [1.0, 0.5 + 0.5j], atol=1e-6)
