"""The HTTP faces of a running node."""
