"""How the threads of a link wait: awake or asleep, whoever wants a message listening for it."""
