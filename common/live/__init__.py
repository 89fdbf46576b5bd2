"""What a running process shows of itself: one snapshot, which health, metrics and a page read. See `README.md`."""
