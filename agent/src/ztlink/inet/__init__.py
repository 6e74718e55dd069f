"""Ethernet and IP; nothing of ZeroTier in it."""
