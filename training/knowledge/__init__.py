"""The knowledge store: a teacher's answers in few bytes."""
