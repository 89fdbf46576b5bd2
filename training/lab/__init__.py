"""The running system on one host: its real commands as child processes, and the same without sockets."""
