"""The control port of a command that runs: where it is, how it is asked, how it answers. No torch."""
