"""How much to send: belief about the channel, policy, controller. Pure."""
