"""Systems that bring a decision over a channel, ours and others, in one form: where, with what, and what came out."""
