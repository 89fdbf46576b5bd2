"""The mathematics: what multiplies a signal and what is added to it, each a function of its key."""
