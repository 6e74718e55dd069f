"""What the bench raises."""


class ClusterError(Exception):
    """The cluster does not do what was asked; the message says what to look at."""


def expect(condition: bool, complaint: str) -> None:
    """Raise ClusterError with the complaint unless the condition holds."""
    if not condition:
        raise ClusterError(complaint)
