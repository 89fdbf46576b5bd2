"""Where a number comes from: the commit of the code, and the machine that computed it.

Knows nothing about what was measured.
"""

import hashlib
import os
import platform
import re
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from common import __version__

LIBRARIES = ("torch", "numpy")
CPUINFO = Path("/proc/cpuinfo")
ROOT = Path(__file__).parents[2]
COMPUTES = (
    "common", "sctx", "scrx", "training/baselines", "training/data", "training/distillation", "training/export",
    "training/knowledge", "training/lab", "training/loop", "training/recipes", "training/student", "training/systems",
    "training/teachers", "training/trained", "training/words", "training/baselines/shipped/words.safetensors",
)  # fmt: skip
"""Rooms on whose code a number may depend: all that what measures and what trains imports, but for what only shows."""
CODE = (".py", ".csv", ".txt")
"""How the files of a room end that are read as a part of its code."""


def commit() -> str:
    """The commit of the project that runs, "+" after it where its files were changed since; its version without git."""
    with suppress(OSError, subprocess.SubprocessError):
        if (ROOT / ".git").exists():
            head = _git("rev-parse", "HEAD")
            changed = _git("status", "--porcelain", "--untracked-files=no")
            return f"{head}{'+' if changed else ''}"
    return f"semlink {__version__}"


def _git(*words: str) -> str:
    ran = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=30, check=True)
    return ran.stdout.strip()


def code_sha256(*more: str) -> str:
    """Of all code on which a number may depend, and the tables that it reads. more: further rooms."""
    rooms = [ROOT / one for one in (*COMPUTES, *more)]
    return files_sha256(*rooms, endings=CODE)


def files_sha256(*paths: Path, endings: tuple[str, ...] = ("",)) -> str:
    """Of names and contents of files, and of all files in folders that end so; what is not there is left out."""
    inside = {one for path in paths for one in path.rglob("*") if one.name.endswith(endings)}
    found = sorted(one for one in inside.union(paths) if one.is_file())
    digest = hashlib.sha256()
    for path in found:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def machine() -> dict[str, str]:
    """What the last bits of a number may depend on."""
    import torch

    about = re.search(r"^model name\s*: (.*)$", CPUINFO.read_text(), re.M) if CPUINFO.exists() else None
    cpu = about[1] if about else platform.processor() or platform.machine()
    threads = {"threads": str(torch.get_num_threads()), "cpus": str(os.cpu_count())}
    best = torch.backends.cpu.get_cpu_capability()
    return {"cpu": cpu, "instructions": best, **threads, "python": platform.python_version(),
            **{name: version(name) for name in LIBRARIES}}  # fmt: skip
