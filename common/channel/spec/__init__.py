"""What a channel is asked for: its parameters, and the tables that people write."""
