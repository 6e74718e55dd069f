"""Carries connections between sockets of the machine and whatever can dial: SOCKS5, forwards."""
