"""Baselines: what else could be sent in the same channel uses, each with its source."""
