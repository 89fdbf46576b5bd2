"""What a transmitter spends on one image, stage by stage, on one thread: JPEG -> pixels -> features -> frame.

    python deploy/edge/stages.py digits cifar10                        # by whatever backend is there
    python deploy/edge/stages.py digits --backend torch --json         # one object, for `side_by_side.py`
    python deploy/edge/stages.py vit                                   # ViT-B/16 by torch eagerly, the encoder alone

Knows nothing about links or receivers. The picture is made here, 640 x 480, always the same.
"""

import io
import json
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common.images.photo import decode_image, fit_image
from common.pair.backend import keep_to_one_thread
from common.pair.manifest import Manifest, find_pair
from common.pair.networks import AUTO, BACKENDS
from sctx.pipeline import TransmitChain
from sctx.rate.belief import Report
from sctx.rate.decision import Decision, Sharing, decide
from sctx.rate.policy import RatePolicy
from sctx.settings import Settings

WARM = 20
STAGES = ("decode", "fit", "encode", "modulate", "pack")
QUALITY = 85
REPORT = Report(snr_inst_db=10.0, snr_avg_db=10.0, error_db=1.0, fd=1e-4, air_start=0, heard_ns=0)
VIT = "vit"


def photograph() -> bytes:
    """A JPEG of 640 x 480: slopes, edges and grain."""
    y, x = np.mgrid[0:480, 0:640]
    draw = np.random.Generator(np.random.Philox(key=5))
    plane = 90 + 60 * np.sin(x / 37.0) * np.cos(y / 53.0) + 50 * ((x // 80 + y // 96) % 2)
    colours = plane[..., None] * (1.0, 0.8, 0.6) + draw.normal(0, 6, (480, 640, 3))
    return _jpeg(colours.clip(0, 255).astype(np.uint8))


def sharing_of(pair: Manifest) -> Sharing:
    """As `sctx` has it once for all images."""
    return Sharing(pair.words, Settings().features)


def decided(pair: Manifest, sharing: Sharing) -> Decision:
    """What is decided for every image, by a report of 10 dB: how many symbols are the word's. All are sent here."""
    return decide(RatePolicy(), REPORT, 1000, pair.layout.rates, pair.accuracy, None, sharing)


def measure(model: str, backend: str, images: int) -> dict[str, Any]:
    """Microseconds of the processor for each stage, the median; of the encoder, from fitted pixels and from the JPEG to
    the frame p50 and p99 in milliseconds by the clock, and the processor's mean: seconds for 1,000 images.
    """
    manifest = find_pair(model)
    chain, raw = TransmitChain(manifest, "cpu", backend), photograph()
    keep_to_one_thread()
    rate, sharing = len(manifest.layout.increments) - 1, sharing_of(manifest)
    cost, clock = np.zeros((images, len(STAGES))), np.zeros((images, len(STAGES)))
    for number in range(-WARM, images):
        marks = [_now()]
        picture = _step(marks, lambda: decode_image(raw, fit=manifest.preprocess))
        fitted = _step(marks, lambda one=picture: fit_image(one, manifest.preprocess)[None])
        features = _step(marks, lambda one=fitted: chain.encode(one))
        symbols = _step(marks, lambda one=features: chain.modulate(one, None, decided(manifest, sharing).words)[0])
        _step(marks, lambda one=symbols: chain.frame(one, 0, rate).astype("<c8").tobytes())
        if number >= 0:
            cost[number], clock[number] = np.diff(marks, axis=0).T / 1e3
    spent = cost.sum() / 1e6
    return {
        "model": model, "backend": chain.backend, "images": images,
        "stages_us": dict(zip(STAGES, np.median(cost, 0).round(1).tolist(), strict=True)),
        "p50_ms": _ms(clock.sum(1), 0.5), "p99_ms": _ms(clock.sum(1), 0.99),
        "encode_p50_ms": _ms(clock[:, 2], 0.5), "encode_p99_ms": _ms(clock[:, 2], 0.99),
        "encode_cpu_ms": round(float(cost[:, 2].mean()) / 1e3, 3),
        "fitted_p50_ms": _ms(clock[:, 2:].sum(1), 0.5), "fitted_p99_ms": _ms(clock[:, 2:].sum(1), 0.99),
        "fitted_cpu_ms": round(float(cost[:, 2:].sum(1).mean()) / 1e3, 3),
        "images_per_s": round(images / spent, 1), "cpu_s_per_1000": round(1000 * spent / images, 3),
        "frame_bytes": 8 * manifest.layout.frame_symbols(0, rate), "jpeg_bytes": len(raw),
        "small_jpeg_bytes": len(_jpeg(fitted[0])),
    }  # fmt: skip


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 [H, W, C] -> a JPEG."""
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def vision_transformer(images: int) -> dict[str, Any]:
    """ViT-B/16 of 224 x 224, by torch: what a feature extractor costs that was not made for a small device."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.set_num_threads(1)
    model, picture = ViTModel(ViTConfig()).eval(), torch.zeros(1, 3, 224, 224)
    took = []
    with torch.inference_mode():
        for _ in range(max(3, images // 50)):
            began = time.thread_time()
            model(picture)
            took.append(1e3 * (time.thread_time() - began))
    return {"model": "ViT-B/16", "backend": "torch", "encode_cpu_ms": round(float(np.median(took)), 1)}


def _now() -> tuple[int, int]:
    """Nanoseconds of this thread's processor, and of the clock."""
    return time.thread_time_ns(), time.perf_counter_ns()


def _ms(us: np.ndarray, share: float) -> float:
    return round(float(np.quantile(us, share)) / 1e3, 3)


def _step(marks: list[tuple[int, int]], what: Callable[[], np.ndarray]) -> np.ndarray:
    made = what()
    marks.append(_now())
    return made


@click.command(help=__doc__.splitlines()[0] if __doc__ else "")
@click.argument("models", nargs=-1)
@click.option("--backend", type=click.Choice(BACKENDS), default=AUTO, show_default=True)
@click.option("--images", default=500, show_default=True, help="How many are measured.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def main(models: tuple[str, ...], backend: str, images: int, as_json: bool) -> None:
    for model in models:
        row = vision_transformer(images) if model == VIT else measure(model, backend, images)
        if as_json or "stages_us" not in row:
            print(json.dumps(row), flush=True)
            continue
        stages = ", ".join(f"{name} {value:g}" for name, value in row["stages_us"].items())
        print(f"{row['model']} by {row['backend']}: us of the processor: {stages}; "
              f"all {row['p50_ms']} ms p50, {row['p99_ms']} p99; {row['images_per_s']} images/s")  # fmt: skip


if __name__ == "__main__":
    main()
