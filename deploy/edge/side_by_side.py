"""Two environments beside each other as a transmitter: size, start, memory, images: one with torch, one without.

    python deploy/edge/side_by_side.py EDGE_VENV FULL_VENV [--rounds N] [--json FILE]
    deploy/edge/fresh.sh                                     makes both environments, and runs this

EDGE_VENV has `pip install '.[edge]'`, FULL_VENV `pip install '.[all]'`. A round starts `sctx` of each and measures the
stages of each, one after the other, pair by pair; what is printed are medians over rounds, and of ratios those within
rounds: other work on the machine meets both. Seconds are the clock's where it is said, else the processor's. Prints the
tables of `deploy/EDGE.md` and the goals. Needs Linux, and nothing but Python.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODELS = ("digits", "cifar10", "tinyimagenet100")
BACKENDS = ("onnx", "torch")
VIT = "ViT-B/16"
STAGES = ("decode", "fit", "encode", "modulate", "pack")
IMAGES, SENT = 200, 50
AT_10_DB = 3.46
"""Bits that a use of a channel of 10 dB carries at most, log2(1 + 10): what a JPEG could be sent with."""
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp")

Row = dict[str, Any]


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


def spent(process: int) -> float:
    """Seconds of the processor that a running process has had, all threads together."""
    threads = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


def started(venv: Path, model: str, backend: str, address: str, source: str) -> Row:
    """One `sctx` from nothing: until it could encode and until the first answer, by the clock and of the processor; MB
    at most; seconds of the processor of it all."""
    command = [str(venv / "bin/sctx"), "--peer", address, "--model", model, "--backend", backend, "--source", source,
               "--count", str(SENT), "--json"]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    ready = ready_cpu = 0.0
    for line in process.stderr:
        if "encodes by" in line:
            ready, ready_cpu = time.monotonic() - began, spent(process.pid)
            break
    process.stdout.readline()
    first = time.monotonic() - began
    process.stdout.read()
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}: {process.stderr.read()}")
    return {"ready_s": ready, "ready_cpu_s": ready_cpu, "first_answer_s": first,
            "rss_mb": used.ru_maxrss * 1024 / 1e6, "all_cpu_s": used.ru_utime + used.ru_stime}  # fmt: skip


def stages(venv: Path, model: str, backend: str, images: int = IMAGES) -> Row:
    """What `stages.py` says in that environment."""
    command = [str(venv / "bin/python"), str(HERE / "stages.py"), model, "--images", str(images), "--backend", backend]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: Row = json.loads(ran.stdout)
    return found


def measured(edge: Path, full: Path, rounds: int, source: Path) -> Row:
    """Model -> backend -> a row for each round; ViT-B/16 -> milliseconds of each round."""
    found: Row = {model: {backend: [] for backend in BACKENDS} for model in MODELS} | {VIT: []}
    where = {"onnx": edge, "torch": full}
    for number in range(-1, rounds):  # the first start compiles what it imports, and is not counted
        for model in MODELS:
            process, address = receiver(edge, model)
            try:
                for backend, venv in where.items():
                    row = started(venv, model, backend, address, str(source))
                    if number >= 0:
                        found[model][backend].append(row | stages(venv, model, backend))
            finally:
                process.terminate()
                process.wait()
        if number >= 0:
            found[VIT].append(stages(full, "vit", "torch")["encode_cpu_ms"])
        print(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return found


def median(rows: list[Row], what: Callable[[Row], float] | str) -> float:
    """Over rounds."""
    return statistics.median(row[what] if isinstance(what, str) else what(row) for row in rows)


def part(first: str) -> Callable[[Row], float]:
    """Microseconds from that stage to the frame."""
    return lambda row: sum(row["stages_us"][name] for name in STAGES[STAGES.index(first) :])


def encoder(row: Row) -> float:
    """Microseconds."""
    return float(row["stages_us"]["encode"])


def times(found: Row, model: str, what: Callable[[Row], float]) -> float:
    """How many times as long torch takes, the median of rounds."""
    pairs = zip(found[model]["torch"], found[model]["onnx"], strict=True)
    return statistics.median(what(slow) / what(quick) for slow, quick in pairs)


def table(head: str, rows: list[str]) -> str:
    """Of Markdown."""
    return "\n".join([head, "| --- " * (head.count("|") - 1) + "|", *rows])


def shown(found: Row) -> list[str]:
    """The tables."""
    each = [(model, backend, found[model][backend]) for model in MODELS for backend in BACKENDS]
    starts = [f"| `{model}` | {backend} | {median(rows, 'ready_cpu_s'):.2f} s | {median(rows, 'ready_s'):.2f} s "
              f"| {median(rows, 'first_answer_s'):.2f} s | {median(rows, 'all_cpu_s'):.2f} s "
              f"| {median(rows, 'rss_mb'):.0f} MB |" for model, backend, rows in each]  # fmt: skip
    images = [f"| `{model}` | {backend} | {_of(rows, 'encode')} | {_of(rows, 'fitted')} | {_of(rows, '')} "
              f"| {median(rows, 'images_per_s'):.0f} | {median(rows, 'cpu_s_per_1000'):.2f} s |"
              for model, backend, rows in each]  # fmt: skip
    parts = [f"| `{model}` | {backend} | "
             + " | ".join(f"{median(rows, lambda row, one=name: row['stages_us'][one]):,.0f}" for name in STAGES)
             + " |" for model, backend, rows in each]  # fmt: skip
    gains = [f"| `{model}` | {times(found, model, encoder):.1f} | {times(found, model, part('encode')):.1f} "
             f"| {times(found, model, part('decode')):.1f} "
             f"| {median(found[model]['torch'], 'ready_cpu_s') / median(found[model]['onnx'], 'ready_cpu_s'):.1f} "
             f"| {1e3 * statistics.median(found[VIT]) / median(found[model]['onnx'], encoder):.0f} |"
             for model in MODELS]  # fmt: skip
    return [
        table("| pair | backend | to ready, of the processor | to ready, by the clock | to the first answer, the same "
              f"| {SENT} images, start to end, of the processor | memory |", starts),
        table("| pair | backend | encoder: p50, p99; 1,000 images | pixels to frame: p50, p99; 1,000 images "
              "| JPEG to frame: p50, p99; 1,000 images | images/s of one core | 1,000 images |", images),
        table("| pair | backend | decode the JPEG | fit | encode | adapt and modulate | pack |", parts),
        table("| pair, torch / onnx | encoder | pixels to frame | JPEG to frame | start to ready | ViT-B/16 by torch / "
              "encoder by onnx |", gains),
    ]  # fmt: skip


def _of(rows: list[Row], which: str) -> str:
    """Milliseconds by the clock, and seconds of the processor for 1,000."""
    name = f"{which}_" if which else ""
    cpu = median(rows, f"{name}cpu_ms" if which else "cpu_s_per_1000")
    return f"{median(rows, f'{name}p50_ms'):.2f}, {median(rows, f'{name}p99_ms'):.2f} ms; {cpu:.2f} s"


def sent(found: Row) -> list[str]:
    """Beside the JPEG, whole or made as small as the pair takes it: bytes and channel uses."""
    lines = []
    for model in MODELS:
        row = found[model]["onnx"][0]
        frame, jpeg, small = (row[name] for name in ("frame_bytes", "jpeg_bytes", "small_jpeg_bytes"))
        uses = [round(8 * size / AT_10_DB) for size in (jpeg, small)]
        lines.append(f"| `{model}` | {frame // 8} uses, {frame:,} B | {jpeg:,} B, {uses[0]:,} uses "
                     f"| {small:,} B, {uses[1]:,} uses |")  # fmt: skip
    return [table("| pair | the longest frame, pilots included | the JPEG whole, at best at 10 dB "
                  "| the picture as the pair takes it, as a JPEG |", lines)]  # fmt: skip


def goals(found: Row, sizes: dict[str, int]) -> list[str]:
    """Each said reached or missed, by the worst pair."""
    onnx = [found[model]["onnx"] for model in MODELS]
    asked = [
        ("encoder, times torch", min(times(found, model, encoder) for model in MODELS), 3, True),
        ("pixels to frame, times torch", min(times(found, model, part("encode")) for model in MODELS), 2, True),
        ("JPEG to frame, times torch", min(times(found, model, part("decode")) for model in MODELS), 2, True),
        ("start to ready, s of the processor", max(median(rows, "ready_cpu_s") for rows in onnx), 0.6, False),
        ("start to ready, s by the clock", max(median(rows, "ready_s") for rows in onnx), 0.6, False),
        ("memory, MB", max(median(rows, "rss_mb") for rows in onnx), 120, False),
        ("environment, MB", sizes["edge"], 300, False),
    ]
    return [f"{name}: {value:.3g} where {'at least' if more else 'at most'} {goal} is asked for: "
            f"{'reached' if (value >= goal if more else value <= goal) else 'MISSED'}"
            for name, value, goal, more in asked]  # fmt: skip


def machine(edge: Path, full: Path) -> str:
    """Processor, its instructions, versions."""
    said = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", said)
    flags = set((re.search(r"(?:flags|Features)\s*: (.*)", said) or [""])[0].split())
    ask = "import importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in %r), sep=', ')"
    versions = [subprocess.run([str(venv / "bin/python"), "-c", ask % (names,)], capture_output=True, text=True,
                               check=True).stdout.strip()
                for venv, names in ((edge, ("onnxruntime", "numpy", "pillow")), (full, ("torch",)))]  # fmt: skip
    return (f"{os.cpu_count()} cores of {model[1] if model else platform.machine()} with "
            f"{', '.join(one for one in FLAGS if one in flags) or 'none of ' + ', '.join(FLAGS)}; "
            f"{', '.join(versions)}, Python {platform.python_version()}")  # fmt: skip


def main() -> None:
    """Measure, print the tables, keep the rows."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("edge", type=Path)
    asked.add_argument("full", type=Path)
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--json", type=Path)
    words = asked.parse_args()
    sizes = {name: round(megabytes(venv)) for name, venv in (("edge", words.edge), ("full", words.full))}
    source = HERE.parents[1] / "build" / "edge" / "picture.jpg"
    source.parent.mkdir(parents=True, exist_ok=True)
    made = [str(words.full / "bin/python"), "-c",
            f"import sys; sys.path.insert(0, {str(HERE)!r}); import stages; "
            "open(sys.argv[1], 'wb').write(stages.photograph())", str(source)]  # fmt: skip
    subprocess.run(made, check=True)
    loads = [os.getloadavg()[0]]
    found = measured(words.edge, words.full, words.rounds, source)
    loads.append(os.getloadavg()[0])
    about = (
        f"{machine(words.edge, words.full)}; {words.rounds} rounds, load {loads[0]:.1f} before, {loads[1]:.1f} after"
    )
    print(about, f"environments: edge {sizes['edge']} MB, full {sizes['full']} MB",
          f"ViT-B/16 by torch: {statistics.median(found[VIT]):.0f} ms of the processor for one image",
          *shown(found), *sent(found), "\n".join(goals(found, sizes)), sep="\n\n")  # fmt: skip
    if words.json:
        words.json.write_text(json.dumps({"about": about, "sizes_mb": sizes, "rounds": found}, indent=1))


if __name__ == "__main__":
    main()
