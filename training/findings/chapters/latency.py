"""Claim 3, computation latency: what the transmitter computes for one image, by the processor's time.

Knows nothing about the air: waiting is no computation.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from training.findings.chapters.accuracy import ALL, PAIRS
from training.findings.claim import EVEN, Row, of_less, rows_table, unmeasured
from training.findings.sources import Sources, of_result

HEAD = """\
## 3. Computation latency

How long does the camera compute for one image? Milliseconds of one processor's time, of encoders the median; ours by
ONNX Runtime unless it says torch, ViT by torch. *Pixels to frame* is everything from an image that fits to the samples,
the mean; decoding a JPEG and fitting it come before, and cost more ([below](#what-a-second-look-found)). Of a processor
with AVX-512: on one without, ViT was about half as many times as slow as ours, and the target of a hundredth by torch
was missed ([log](LOG.md#the-report-what-came-out-when-all-was-put-beside-all)).
"""
RESULT, BY_TORCH = "stages", "stages-torch"
VIT = "ViT-B/16"
UNTIMED = ("JPEG + LDPC", "DT-JSCC", "VFE", "its own teacher")


def times(sources: Sources, result: str) -> Mapping[str, Mapping[str, Any]]:
    """Model -> what it takes, as `deploy/edge/stages.py` has it; empty where it was not measured."""
    return {one["model"]: one for one in (sources.found(result) or {"lines": []})["lines"]}


def rows(sources: Sources) -> list[Row]:
    """For each pair: ViT-B/16, by both of ours, the label code, and what was not timed."""
    known, torch = times(sources, RESULT), times(sources, BY_TORCH)
    found: list[Row] = []
    for pair in PAIRS:
        if pair in known:
            found += _of_pair(pair, known, of_result(RESULT))
        if pair in torch and VIT in known:
            cells = _beside_vit(torch[pair], known[VIT]["encode_cpu_ms"])
            verdict = of_less(torch[pair]["stages_us"]["encode"] / 1e3, known[VIT]["encode_cpu_ms"])
            found.append(Row(pair, f"{VIT}, ours by torch too", cells, verdict, of_result(BY_TORCH)))
    same = ("-", "-", "-", "the same encoder; its word is as quick to look up")
    even = [Row(ALL, "label code", same, EVEN, of_result(RESULT))] if known else [unmeasured(ALL, ("label code",), 4)]
    return [*found, *even, unmeasured(ALL, UNTIMED, 4)]


def _beside_vit(ours: Mapping[str, Any], theirs: float) -> tuple[str, ...]:
    encode_ms = ours["stages_us"]["encode"] / 1e3
    return f"{encode_ms:.2f}", f"{ours['fitted_cpu_ms']:.2f}", f"{theirs:.0f}", f"{theirs / encode_ms:.0f} times ours"


def _of_pair(pair: str, known: Mapping[str, Mapping[str, Any]], here: str) -> Iterator[Row]:
    ours = known[pair]
    if VIT in known:
        encode_ms, theirs = ours["stages_us"]["encode"] / 1e3, known[VIT]["encode_cpu_ms"]
        yield Row(pair, f"{VIT}, the encoder alone", _beside_vit(ours, theirs), of_less(encode_ms, theirs), here)


def section(sources: Sources) -> list[str]:
    """The claim, as Markdown."""
    return [HEAD, *rows_table(("ours, encoder", "ours, pixels to frame", "theirs", ""), rows(sources))]
