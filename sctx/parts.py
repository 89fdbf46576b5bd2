"""What a sender is put together from, by a pair and settings: terms of its session, its chain, and what decides by it.

Knows nothing about images or about what becomes of them.
"""

from common import __version__
from common.errors import ConfigError
from common.pair.agreement import Agreement
from common.pair.certainty import shares_of
from common.pair.manifest import Manifest, read_half
from common.text import safe
from sctx.actions import Terms
from sctx.chain import Chain
from sctx.rate.decision import Sharing
from sctx.rate.sureness import Sureness
from sctx.settings import Settings


def terms_of(manifest: Agreement, settings: Settings, session: bytes) -> Terms:
    """What a transmitter brings to a session."""
    return Terms(
        session=session,
        model_id=bytes.fromhex(manifest.id),
        software=f"semlink {__version__}",
        slot=manifest.layout.slot,
        live=settings.live,
        deadline_ms=settings.deadline,
        give_up_s=settings.give_up_s,
        window=settings.window or 255,
        tasks=settings.tasks_of(manifest),
    )


def load_chain(manifest: Agreement, settings: Settings) -> Chain:
    """What runs the networks, which may take its time, is loaded only when all else is right."""
    if not isinstance(manifest, Manifest):
        raise ConfigError(f"{manifest.name} is no pair with networks of its own: give an encoder")
    read_half(manifest, "encoder")
    from sctx.pipeline import TransmitChain

    return TransmitChain(manifest, settings.device, settings.backend)


def sharing_of(chain: Chain, settings: Settings) -> Sharing | None:
    """None where symbols are no words. ConfigError where they carry no features, and some were asked for."""
    pair = chain.agreement
    if chain.words is None or not isinstance(pair, Manifest):
        if settings.distortion is not None:
            raise ConfigError(f"distortion: what {safe(pair.name, 60)} sends is not known to carry features; give none")
        return None
    if settings.distortion is None:
        return Sharing(pair.words, settings.features)
    return Sharing(pair.words, settings.features, chain.distortion(), settings.distortion / 100.0)


def sureness_of(chain: Chain, settings: Settings) -> Sureness | None:
    """None where answers say nothing of reports, or reports mean nothing."""
    pair, deaf = chain.agreement, settings.trust_reports or settings.rate_policy.kind == "robust"
    if deaf or chain.words is None or not isinstance(pair, Manifest):
        return None
    return Sureness(chain.words, shares_of(pair), pair.layout.pilots)
