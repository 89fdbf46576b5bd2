"""Graphs of a pair, by which it runs without torch: made, checked, written beside its weights."""
