"""Everything that holds a descriptor."""
