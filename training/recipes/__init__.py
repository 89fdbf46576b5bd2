"""Recipes: what a training is asked for. Imports nothing else of training."""
