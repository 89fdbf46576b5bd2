"""What a channel writes and reads: recordings, the truth about frames, schedules."""
