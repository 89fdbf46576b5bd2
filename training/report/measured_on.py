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
COMPUTES = ("common", "sctx", "scrx", "training/lab", "training/systems", "training/baselines", "training/trained")
"""Rooms on whose code a number may depend."""


def commit() -> str:
    """The commit of the project that runs, "+" after it where its files were changed since; its version without git."""
    root = Path(__file__).parents[2]
    with suppress(OSError, subprocess.SubprocessError):
        if (root / ".git").exists():
            head = _git(root, "rev-parse", "HEAD")
            changed = _git(root, "status", "--porcelain", "--untracked-files=no")
            return f"{head}{'+' if changed else ''}"
    return f"semlink {__version__}"


def _git(root: Path, *words: str) -> str:
    ran = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=30, check=True)
    return ran.stdout.strip()


def code_sha256(*more: str) -> str:
    """Of all code on which a number may depend. more: further rooms."""
    root = Path(__file__).parents[2]
    return files_sha256(*(path for room in (*COMPUTES, *more) for path in sorted((root / room).rglob("*.py"))))


def files_sha256(*paths: Path) -> str:
    """Of names and contents of files, and of all files in folders; those that are not there are left out."""
    found = sorted({one for path in paths for one in (path.rglob("*") if path.is_dir() else (path,)) if one.is_file()})
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
