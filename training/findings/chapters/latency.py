"""Claim 3, computation latency: what the transmitter computes for one image, by the processor's time.

Knows nothing about the air: waiting is no computation.
"""

from collections.abc import Mapping
from typing import Any

from training.findings.chapters.accuracy import ALL, PAIRS
from training.findings.claim import EVEN, Row, of_less, rows_table, unmeasured
from training.findings.sources import Sources, of_result

HEAD = """\
## 3. Computation latency

How long does the camera compute for one image? Milliseconds of one processor's time, of encoders the median; ours by
ONNX Runtime, as it ships / by torch, as ViT. *Pixels to frame* is everything from an image that fits to the samples,
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
    """For each pair: ViT-B/16, the label code, and what was not timed."""
    known, torch = times(sources, RESULT), times(sources, BY_TORCH)
    found = [_beside_vit(pair, known[pair], torch[pair], known[VIT]["encode_cpu_ms"]) for pair in PAIRS
             if pair in known and pair in torch and VIT in known]  # fmt: skip
    same = ("-", "-", "-", "the same encoder")
    even = [Row(ALL, "label code", same, EVEN, of_result(RESULT))] if known else [unmeasured(ALL, ("label code",), 4)]
    absent = [unmeasured(pair, (VIT,), 4) for pair in PAIRS if pair not in known or pair not in torch]
    return [*found, *absent, *even, unmeasured(ALL, UNTIMED, 4)]


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
