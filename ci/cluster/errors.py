"""What the bench raises."""


class ClusterError(Exception):
    """The cluster does not do what was asked; the message says what to look at."""
