"""Name servers of networks: what they are, and how the machine is had to ask them."""
