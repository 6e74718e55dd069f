"""The Python face: a node in user space, and its networks in asyncio's own words."""
