"""Constellations, symbol layout, pilots and decibels. numpy only."""
