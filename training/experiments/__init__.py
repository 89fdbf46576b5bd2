"""Experiments: what each part is worth, what feedback is worth."""
