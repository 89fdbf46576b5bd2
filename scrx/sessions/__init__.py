"""Who is served: the table of transmitters, whose a session is, which frames came. Pure."""
