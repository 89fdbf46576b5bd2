"""The channel: models, fading, noise, and the `channel-emu` process. No torch."""
