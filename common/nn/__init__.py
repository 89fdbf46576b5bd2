"""Network blocks that both halves use (torch)."""
