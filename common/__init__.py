"""What both halves must agree on: wire, symbols, channel, model blocks, manifest.

Imports nothing of ours from outside `common`.
"""

DISTRIBUTION = "semlink"
"""Marker that sctx, scrx and training check: another distribution's top-level `common` would hide ours in silence."""

__version__ = "0.1.0"
PROTOCOL = 1
"""Version of the wire, see common/protocol/README.md."""
