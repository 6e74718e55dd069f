"""A network controller: a second application of the core."""
