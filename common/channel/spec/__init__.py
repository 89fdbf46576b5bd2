"""What a channel is asked for: parameters, delay profiles, traces, tables."""
