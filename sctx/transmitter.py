"""The transmitter: images in, answers out, over one link. The Python API of the transmitting half.

    with sctx.Transmitter("127.0.0.1:5556", "digits", sctx.Settings(policy="robust")) as tx:
        answer = tx.send(image)          # uint8 [H, W] or [H, W, 3]
        print(answer.name, answer.confidence, answer.symbols, answer.snr_est_db)

Knows nothing about where images come from or how answers are shown.
"""

import secrets
from pathlib import Path

from common.check import made_by, takes
from common.pair.agreement import Agreement
from common.pair.manifest import find_pair
from common.transport.curve import reach
from sctx.actions import Terms
from sctx.chain import Encode
from sctx.link import Link
from sctx.pending import Hear
from sctx.sender import Sender
from sctx.settings import Settings


class Transmitter(Sender):
    """One session with a receiver, straight or through a channel emulator: `send`, `run`, `connect`, `finish`, `close`.

    peer: "HOST:PORT". model: a shipped pair's name, a directory, or a manifest that was read. settings: see `Settings`,
    which says what holds without. encoder: another one than the pair's, or one without any pair, and then `model` is
    what both ends agreed on (`common.pair.agreement`); the receiver's is `decoder`.

    Raises ConfigError, ModelError on opening; PeerRejected, LinkDown while sending. For any thread (see `Sender`); in a
    forked child ConfigError.
    """

    link: Link

    def __init__(
        self,
        peer: str,
        model: str | Path | Agreement = "digits",
        settings: Settings | None = None,
        *,
        encoder: Encode | None = None,
    ) -> None:
        settings = made_by("settings", settings, Settings)
        if encoder is not None:
            takes("encoder", encoder, "images", "told_db")
        manifest = model if isinstance(model, Agreement) else find_pair(model)
        address, keys = reach(peer, settings.keys, settings.insecure)

        def open_link(terms: Terms, hear: Hear) -> Link:
            return Link(address, terms, keys, hear)

        stream = secrets.randbits(32) if settings.stream is None else settings.stream
        super().__init__(manifest, settings, stream, secrets.token_bytes(16), open_link, encoder=encoder)
