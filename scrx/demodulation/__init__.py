"""Samples -> soft symbols: pilots, channel estimate, equaliser. numpy only."""
