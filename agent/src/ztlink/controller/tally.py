"""What a controller has counted since it started, for its metrics."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Plain integers, which others only read."""

    requests: int = 0
    """Of members, that were answered."""
    network_changes: int = 0
    member_changes: int = 0
    authorizations: int = 0
    deauthorizations: int = 0
    networks_listed: int = 0
    members_listed: int = 0
    summaries: int = 0
    """Lists of all members whole."""
    networks_read: int = 0
    members_read: int = 0

    def member_changed(self, was_authorized: bool, is_authorized: bool) -> None:
        """Count that a member's record was written, or removed."""
        self.member_changes += 1
        self.authorizations += is_authorized and not was_authorized
        self.deauthorizations += was_authorized and not is_authorized
