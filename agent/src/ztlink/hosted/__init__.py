"""Controllers that are elsewhere: ZeroTier Central, or one's own by its URL."""
