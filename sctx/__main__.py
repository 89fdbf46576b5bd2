"""`python -m sctx`."""

from sctx.cli import main

main()
