"""The channel between sockets: frames, raw samples, reports on their way back, the control port."""
