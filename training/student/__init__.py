"""The student: both halves and the channel between them in one pass, and what it is trained for."""
