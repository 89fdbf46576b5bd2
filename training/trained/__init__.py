"""Baselines that are networks with fitted weights: how each is made, tuned as ours is, and held to a figure."""
