"""Claim 3, computation latency: what the transmitter computes for one image, by the processor's time.

Knows nothing about the air: waiting is no computation.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from training.findings.chapters.accuracy import ALL, OURS, PAIRS
from training.findings.claim import EVEN, Row, of_less, of_times, rows_table, unmeasured
from training.findings.sources import Sources, of_result
from training.report.stats import written

HEAD = """\
## 3. Computation latency

How long does the camera compute for one image? Milliseconds of one processor's time, of encoders the median; ours by
ONNX Runtime, as it ships / by torch, as ViT. *Pixels to frame* is everything from an image that fits to the samples,
the mean; decoding a JPEG and fitting it come before, and cost more ([below](#what-a-second-look-found)). Of a processor
with AVX-512: on one without, ViT was about half as many times as slow as ours, and the target of a hundredth by torch
was missed ([log](LOG.md#the-report-what-came-out-when-all-was-put-beside-all)).

The other rows are of another run, in which all systems take turns at each image, by torch on one thread, from pixels to
symbols; *times ours* has its 95 % interval over images. JPEG and WebP are counted without their error-correcting code,
which is ours in numpy and would be quick in C. A teacher's is its network alone. Rivals on our encoder cannot take much
less than it.
"""
RESULT, BY_TORCH = "stages", "stages-torch"
VIT = "ViT-B/16"
TURNS = {"digits": "computing-digits", "cifar10": "computing-cifar10", "tinyimagenet100": "computing-tinyimagenet100"}
"""Pair -> the result in which rivals take turns with it."""
BESIDE = {"jpeg-ldpc, packed alone": "JPEG", "webp-ldpc, packed alone": "WebP", "dt-jscc": "DT-JSCC",
          "dt-jscc-ours": "DT-JSCC on our encoder", "vfe": "VFE", "teacher": "its own teacher"}  # fmt: skip
WANTED = (("jpeg-ldpc, packed alone",), ("dt-jscc", "dt-jscc-ours"), ("vfe",), ("teacher",))
"""Rows that a pair has even where there is no number: any of each will do."""


def times(sources: Sources, result: str) -> Mapping[str, Mapping[str, Any]]:
    """Model -> what it takes, as `deploy/edge/stages.py` has it; empty where it was not measured."""
    return {one["model"]: one for one in (sources.found(result) or {"lines": []})["lines"]}


def rows(sources: Sources) -> list[Row]:
    """For each pair: ViT-B/16, the label code, rivals in turn with it, and what was not timed."""
    known, torch = times(sources, RESULT), times(sources, BY_TORCH)
    found = [_beside_vit(pair, known[pair], torch[pair], known[VIT]["encode_cpu_ms"]) for pair in PAIRS
             if pair in known and pair in torch and VIT in known]  # fmt: skip
    same = ("-", "-", "-", "the same encoder")
    even = [Row(ALL, "label code", same, EVEN, of_result(RESULT))] if known else [unmeasured(ALL, ("label code",), 4)]
    absent = [unmeasured(pair, (VIT,), 4) for pair in PAIRS if pair not in known or pair not in torch]
    return [*found, *absent, *even, *(row for pair in PAIRS for row in _in_turn(pair, sources))]


def _in_turn(pair: str, sources: Sources) -> Iterator[Row]:
    report = sources.found(TURNS[pair]) or {"systems": []}
    known = {one["name"]: one for one in report["systems"]}
    for system, name in BESIDE.items():
        if system in known:
            one, (middle, low, high) = known[system], known[system]["ratio"]
            cells = ("-", f"{known[OURS]['ms']:.2f}", f"{one['ms']:.2f}", written(middle, low, high, sign=False))
            yield Row(pair, name, cells, of_times(low, high), of_result(TURNS[pair]))
    if absent := [BESIDE[some[0]] for some in WANTED if not any(one in known for one in some)]:
        yield unmeasured(pair, absent, 4)


def _beside_vit(pair: str, onnx: Mapping[str, Any], torch: Mapping[str, Any], theirs: float) -> Row:
    """The verdict is on torch, which runs both."""
    encode_ms = [one["stages_us"]["encode"] / 1e3 for one in (onnx, torch)]
    cells = (
        " / ".join(f"{one:.2f}" for one in encode_ms),
        " / ".join(f"{one['fitted_cpu_ms']:.2f}" for one in (onnx, torch)),
        f"{theirs:.0f}",
        " / ".join(f"{theirs / one:.0f}" for one in encode_ms),
    )
    source = f"{of_result(RESULT)} {of_result(BY_TORCH)}"
    return Row(pair, f"{VIT}, the encoder alone", cells, of_less(encode_ms[1], theirs), source)


def section(sources: Sources) -> list[str]:
    """The claim, as Markdown."""
    columns = ("ours, encoder", "ours, pixels to frame", "theirs", "times ours")
    return [HEAD, *rows_table(columns, rows(sources))]
