"""The channel as a whole: what holds when, one stream, all streams."""
