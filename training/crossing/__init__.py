"""What is evaluated without a link, over the real one: three processes, and each decision beside the direct one."""
