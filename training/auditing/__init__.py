"""The audit: what a fair comparison takes for granted of an encoder, a decoder and the way between them, held to it."""
