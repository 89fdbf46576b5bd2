"""Sockets, endpoints and time: what every process needs to speak ZeroMQ. No torch, no protocol."""
