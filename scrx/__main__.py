"""`python -m scrx`."""

from scrx.cli import main

main()
