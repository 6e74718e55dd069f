"""The desired state of the machine, applied."""
