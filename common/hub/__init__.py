"""Pairs that others published on the Hugging Face Hub, and ours there. Knows nothing about what a pair is."""
