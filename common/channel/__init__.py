"""The channel: models, fading, noise, and the `channel-emu` process. No torch."""

from typing import TYPE_CHECKING

__all__ = ["Channel", "ChannelSpec", "FeedbackSpec", "TransitSpec", "Truth"]

if TYPE_CHECKING:
    from common.channel.spec.spec import ChannelSpec
    from common.channel.spec.ways import FeedbackSpec, TransitSpec
    from common.channel.streams.channel import Channel, Truth
else:
    from common.exports import lazily

    __getattr__, __dir__ = lazily(
        "common.channel",
        {
            "common.channel.spec.spec": ("ChannelSpec",),
            "common.channel.spec.ways": ("FeedbackSpec", "TransitSpec"),
            "common.channel.streams.channel": ("Channel", "Truth"),
        },
    )
