"""What both halves must agree on: wire, symbols, channel, model blocks, manifest.

Imports nothing of ours from outside `common`.
"""

DISTRIBUTION = "semlink"
"""Marker. Another distribution's top-level `common` would overwrite ours in silence, so sctx, scrx and training check this."""

__version__ = "0.1.0"
