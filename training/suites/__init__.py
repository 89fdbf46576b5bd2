"""Suites: every system at every place of a grid, measured, compared in pairs, as a table and as a figure."""
