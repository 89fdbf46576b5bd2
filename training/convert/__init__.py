"""A pair that an earlier version made -> one of today."""
