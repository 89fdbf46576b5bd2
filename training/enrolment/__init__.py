"""Classes enrolled from examples: the statistics that it takes, and how good it is, without sockets."""
