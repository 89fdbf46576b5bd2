"""Soft symbols -> answers: the queue, the decoder, worker processes."""
