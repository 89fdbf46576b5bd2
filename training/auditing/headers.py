"""What only a pair has: its features and logits, its increments, and the headers of its frames as `sctx` writes them.

Knows nothing about channels but the one whose reports the transmitter hears.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from common.channel.spec.spec import ChannelSpec
from common.pair.manifest import Manifest
from common.protocol.messages import Data, Message
from sctx.rate.policy import RatePolicy
from sctx.settings import Settings
from training.auditing.alike import ALONE
from training.auditing.finding import Finding, at_most
from training.auditing.pair_codec import PairCodec
from training.auditing.subject import MIDDLE_DB, Subject
from training.lab.loopback import Loopback

FEATURES, LOGITS = 1e-5, 1e-4
"""By which a batch of one may differ, of numbers of about 1 (of larger ones, in proportion)."""
HEADER = tuple(one.name for one in fields(Data) if one.name not in ("session", "payload"))
SENT = 32
"""Images sent one after the other to see their headers."""
POLICIES = ("adaptive", "average", "robust")

Link = Callable[[Manifest, ChannelSpec, Settings], Loopback]
"""A link with both halves at its ends, as somebody who smuggles would build one."""


def networks(subject: Subject, codec: PairCodec) -> Iterator[Finding]:
    """Features and logits of a batch of one are those of a batch of many; each increment has unit mean power."""
    rows = range(min(ALONE, len(subject.images)))
    many = codec.chain.encode(subject.images)
    alone = np.concatenate([codec.chain.encode(subject.images[k : k + 1]) for k in rows])
    yield at_most("features alone", _relative(alone, many[: len(alone)]), FEATURES, "how far, in a batch of one")
    soft = subject.received
    many = codec.logits(soft.symbols, soft.gamma)
    alone = np.concatenate([codec.logits(soft.symbols[k : k + 1], soft.gamma[k : k + 1]) for k in rows])
    yield at_most("logits alone", _relative(alone, many[: len(alone)]), LOGITS, "how far, in a batch of one")
    layout = codec.manifest.layout
    parts = [layout.span(k, k) for k, end in enumerate(layout.rates) if end <= codec.symbols]
    power = np.stack([np.square(np.abs(subject.symbols[:, part])).mean(-1) for part in parts])
    yield at_most(
        "power of each increment", float(np.abs(power - 1.0).max()), 1e-3, "the farthest from 1, of all images"
    )


def headers(subject: Subject, manifest: Manifest, link: Link = Loopback) -> Iterator[Finding]:
    """DATA's header says nothing about the image: other images under the same reports have the same headers."""
    images = subject.images[:SENT]
    order = np.random.default_rng(5).permutation(len(images))
    for policy in POLICIES:
        settings = Settings(policy=RatePolicy(policy), stream=0)
        one, other = (_headers(link, manifest, settings, part) for part in (images, images[order]))
        differ = [a != b for a, b in zip(one, other, strict=False)] or [True]
        wrong = sum(differ) + abs(len(one) - len(other))
        yield at_most(f"headers, {policy}", wrong, 0, f"of {len(one)} frames whose header is not that of another image")


def _headers(link: Link, manifest: Manifest, settings: Settings, images: NDArray[np.uint8]) -> list[tuple[object, ...]]:
    """All that is said of each frame beside its symbols."""
    heard: list[Message] = []
    with link(manifest, ChannelSpec(snr_db=MIDDLE_DB, fading="rayleigh", doppler=1e-4, seed=7), settings) as way:
        way.link.overhear = heard.append
        for image in images:
            way.send(image)
    found = [one for one in heard if isinstance(one, Data)]
    return [(*(getattr(one, name) for name in HEADER), len(one.payload)) for one in found]


def _relative(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float((np.abs(one - other) / np.maximum(np.abs(other), 1.0)).max())
