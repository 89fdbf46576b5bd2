"""Pictures: read, fitted, and by the data set. Knows nothing about models on the wire or training."""
