"""Two environments beside each other as a transmitter: size, start, memory, images: one with torch, one without.

    python deploy/edge/side_by_side.py EDGE_VENV FULL_VENV [--json FILE]

EDGE_VENV has `pip install '.[edge]'`, FULL_VENV `pip install '.[all]'` (or `.[model]`). Each row is `sctx` of one of
them, with one backend and one pair, straight to a receiver of EDGE_VENV. Needs Linux: memory is in KiB there.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODELS = ("digits", "cifar10")
TRIES = 3


def megabytes(folder: Path) -> float:
    """What the files of an environment take on a disk."""
    blocks = sum(path.lstat().st_blocks for path in folder.rglob("*") if not path.is_symlink())
    return blocks * 512 / 1e6


def receiver(venv: Path, model: str) -> "tuple[subprocess.Popen[str], str]":
    """A receiver, and its address."""
    command = [str(venv / "bin/scrx"), "--listen", "0", "--model", model]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"listening on (\S+),", line):
            return process, found[1]
    raise SystemExit(f"{command} did not come up")


def started(venv: Path, model: str, backend: str, address: str, source: str) -> dict[str, float]:
    """One `sctx` from nothing: seconds until it encodes and the first answer; MB at most; CPU seconds of it all."""
    command = [str(venv / "bin/sctx"), "--peer", address, "--model", model, "--backend", backend, "--source", source,
               "--count", "50", "--json"]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    ready = 0.0
    for line in process.stderr:
        if "encodes by" in line:
            ready = time.monotonic() - began
            break
    process.stdout.readline()
    first = time.monotonic() - began
    process.stdout.read()
    _, code, used = os.wait4(process.pid, 0)
    if code:
        raise SystemExit(f"{command} ended with {code}: {process.stderr.read()}")
    process.returncode = 0
    return {"ready_s": ready, "first_answer_s": first, "rss_mb": used.ru_maxrss * 1024 / 1e6,
            "start_cpu_s": used.ru_utime + used.ru_stime}  # fmt: skip


def row(venv: Path, edge: Path, model: str, backend: str, source: str) -> dict[str, Any]:
    """Medians of the starts, and the stages."""
    process, address = receiver(edge, model)
    try:
        tries = [started(venv, model, backend, address, source) for _ in range(TRIES)]
    finally:
        process.terminate()
        process.wait()
    command = [str(venv / "bin/python"), str(HERE / "stages.py"), model, "--backend", backend, "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    starts = {key: round(statistics.median(one[key] for one in tries), 3) for key in tries[0]}
    return {"environment": venv.name, **starts, **json.loads(ran.stdout)}


def main() -> None:
    """Measure, print a table, keep it."""
    edge, full = map(Path, sys.argv[1:3])
    sizes = {venv.name: round(megabytes(venv)) for venv in (edge, full)}
    source = HERE.parents[1] / "build" / "edge" / "picture.jpg"
    source.parent.mkdir(parents=True, exist_ok=True)
    made = [str(full / "bin/python"), "-c",
            f"import sys; sys.path.insert(0, {str(HERE)!r}); import stages; "
            "open(sys.argv[1], 'wb').write(stages.photograph())", str(source)]  # fmt: skip
    subprocess.run(made, check=True)
    rows = [
        row(venv, edge, model, backend, str(source))
        for model in MODELS
        for venv, backend in ((edge, "onnx"), (full, "torch"))
    ]
    print("environment, MB:", ", ".join(f"{name} {size}" for name, size in sizes.items()))
    print("| pair | environment, backend | ready s | first answer s | CPU s, 50 images | most memory MB | encode us "
          "| pixels to frame ms p50, p99, CPU | JPEG to frame ms p50, p99 | images/s | CPU s per 1,000 |")  # fmt: skip
    for one in rows:
        print(f"| {one['model']} | {one['environment']}, {one['backend']} | {one['ready_s']:.2f} "
              f"| {one['first_answer_s']:.2f} | {one['start_cpu_s']:.2f} | {one['rss_mb']:.0f} "
              f"| {one['stages_us']['encode']:.0f} | {one['fitted_p50_ms']:.2f}, {one['fitted_p99_ms']:.2f}, "
              f"{one['fitted_cpu_ms']:.2f} | {one['p50_ms']:.2f}, {one['p99_ms']:.2f} "
              f"| {one['images_per_s']:.0f} | {one['cpu_s_per_1000']:.2f} |")  # fmt: skip
    for one in rows:
        print(f"{one['model']}, {one['backend']}: us of the processor, medians: {one['stages_us']}; frame "
              f"{one['frame_bytes']} bytes, the JPEG {one['jpeg_bytes']}")  # fmt: skip
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps({"sizes_mb": sizes, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
