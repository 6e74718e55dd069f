"""Identities, key derivation and the cipher suites."""
