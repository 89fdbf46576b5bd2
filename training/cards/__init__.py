"""Result cards: a number with all that it came of, sealed, and computed again by whoever doubts it."""
