"""What may go wrong in the laboratory itself, as opposed to what is tested in it."""


class LabError(Exception):
    """A command, a namespace or a node of the laboratory failed."""


class WaitTimeoutError(LabError):
    """What was waited for did not happen in time; the message says what it was."""
