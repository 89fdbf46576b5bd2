"""The training loop, for teacher and student alike."""
