"""Every transmitter that a recipe or --encoder can ask for trains without touching memory that is not its own.

oneDNN 3.12 (of torch 2.13) writes behind its buffer where it sums the gradient of a 1 x 1 convolution with a stride
over fewer than 8 channels, on processors with AVX2 and without AVX-512. Seen from outside that is a process that dies
without a word, some steps later; so shapes run in a process of their own, which the next takes over where it dies, and
the C library checks its heap.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from common.pair.blocks import pick_pixels
from common.pair.shapes import RESNET
from sctx.encoder import ENCODERS
from training.recipes.recipe import CONFIGS, load_recipe

HEAP_CHECK = Path("/lib/x86_64-linux-gnu/libc_malloc_debug.so.0")
CHILD = """
import json, os, signal, sys
import torch
from common.pair.manifest import EncoderShape
from common.pair.blocks import pick_pixels
from sctx.encoder import make_encoder

def foreign(width, channels):
    model = torch.nn.Sequential(torch.nn.Conv2d(channels, width, 3), torch.nn.Conv2d(width, 8, 1, 2, bias=False))
    pick_pixels(model)
    return model

def train(isa, kind, width, blocks, stride, channels, side, batch):
    os.environ["ONEDNN_MAX_CPU_ISA"] = isa or "ALL"
    torch.set_num_threads(1)
    shape = EncoderShape(width, blocks, stride, kind) if stride else None
    encoder = make_encoder(shape, channels, 8) if stride else foreign(width, channels)
    encoder = encoder.to(memory_format=torch.channels_last)
    for _ in range(2):
        images = torch.randn(batch, side, side, channels).permute(0, 3, 1, 2)
        made = encoder(images)
        (made[1] if stride else made).square().mean().backward()  # logits, through the features

left = json.loads(sys.argv[1])
while left:
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        for case in left:
            signal.alarm(20)  # a heap that is broken may also hang
            train(*case)
            os.write(theirs, b".")
        os._exit(0)
    os.close(theirs)
    status = os.waitpid(child, 0)[1]
    done = len(os.read(ours, 1 << 16))
    if status:
        print(left[done], "ended with", os.waitstatus_to_exitcode(status))
    left = left[done + 1 :]
"""


def shapes() -> list[tuple[str, int, int, int, int, int]]:
    """Kind, width, blocks, stem stride, channels and side: of the recipes, of the tests, and of --encoder.

    Stem stride 0 stands for a teacher's shortcut, a 1 x 1 convolution that is not ours.
    """
    recipes = [load_recipe(found.stem) for found in CONFIGS.glob("*.toml")]
    found = {
        (one.encoder.kind, one.encoder.width, 1, one.encoder.stem_stride, one.image.channels, one.image.height)
        for one in recipes
    }
    narrow = {(kind, width, 1, 1, 3, 8) for kind in ENCODERS for width in (1, 2, 3, 4, 5, 6, 7, 9, 12)}
    others = {(4, 1, 1, 1, 8), (4, 1, 2, 3, 32), (2, 2, 3, 3, 25), (4, 0, 0, 3, 10), (6, 0, 0, 1, 10)}
    return sorted(found | narrow | {(RESNET, *one) for one in others})


def ended_badly(cases: list[tuple[str | int, ...]]) -> str:
    """What the child process says of those that did not end well."""
    environment = {**os.environ, "PYTHONFAULTHANDLER": ""}
    if HEAP_CHECK.is_file():
        environment |= {"LD_PRELOAD": str(HEAP_CHECK), "GLIBC_TUNABLES": "glibc.malloc.check=3"}
    done = subprocess.run([sys.executable, "-c", CHILD, json.dumps(cases)], capture_output=True, text=True, check=False,
                          env=environment)  # fmt: skip
    return done.stdout + (done.stderr if done.returncode else "")


@pytest.mark.parametrize("isa", [pytest.param("", marks=pytest.mark.full), "AVX2"])
def test_no_encoder_shape_corrupts_the_heap(isa: str) -> None:
    """isa: the processor's own instructions, or those of a processor without AVX-512."""
    assert not ended_badly([(isa, *shape, 64) for shape in shapes()])


def test_a_network_that_is_not_ours_answers_the_same_when_its_pixels_are_picked() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 8, 1, 2), nn.Conv2d(8, 6, 1, (1, 3)), nn.Conv2d(6, 5, 3, 2))
    images = torch.randn(3, 4, 17, 15)
    before = model(images)
    pick_pixels(model)
    torch.testing.assert_close(model(images), before)
    pick_pixels(model)
    torch.testing.assert_close(model(images), before, msg="a second time changes nothing")
