"""What a member of a network has shown, and what of it is good (wire.adoc#membership)."""

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, TypeVar

from ztlink.ids import Address, IpAddress, NetworkId
from ztlink.vl2.verification import Judgement, Verifier, judge
from ztlink.wire.credentials import (
    Capability,
    CertificateOfOwnership,
    Com,
    Credential,
    CredentialType,
    QualifierId,
    Revocation,
    Tag,
    identity_hash,
)
from ztlink.wire.identity import Identity
from ztlink.wire.netconf import MAX_CAPABILITIES, MAX_TAGS, NetworkConfig

MAX_COOS: Final = 16
MAX_THRESHOLDS: Final = 512
"""Of revocations; the lowest goes first: what it makes void has long expired."""

MAX_REVOCATIONS: Final = 64
"""Whose copies are known at sight."""

Dated = TypeVar("Dated", Capability, Tag, CertificateOfOwnership)


class AddResult(Enum):
    """What became of a credential."""

    NEW = auto()
    REDUNDANT = auto()
    REJECTED = auto()
    NEED_IDENTITY = auto()
    """The signer is not known: ask who it is, then add again."""


def coms_agree(ours: Com, theirs: Com, peer: Identity) -> bool:
    """Tell whether a peer's COM is its own, and of our network and time.

    Each side judges by itself, with the tolerance that its own COM names.
    """
    if not ours.qualifiers or not theirs.qualifiers:
        return False
    their_values = {q.qualifier_id: q.value for q in theirs.qualifiers}
    for qualifier in ours.qualifiers:
        value = their_values.get(qualifier.qualifier_id)
        if value is None or abs(value - qualifier.value) > qualifier.max_delta:
            return False
    hashes = range(QualifierId.IDENTITY_HASH, QualifierId.IDENTITY_HASH + 4)
    if any(q.qualifier_id in hashes for q in ours.qualifiers):
        return tuple(their_values.get(number) for number in hashes) == identity_hash(peer)
    return True


class Membership:
    """The record of one member of one network."""

    def __init__(self, network_id: NetworkId, address: Address) -> None:
        self.network_id = network_id
        self.address = address
        self.com: Com | None = None
        self.tags: dict[int, Tag] = {}
        self.capabilities: dict[int, Capability] = {}
        self.coos: dict[int, CertificateOfOwnership] = {}
        self._com_revoked = 0
        self._cut_off = 0
        self._thresholds: dict[tuple[int, int], int] = {}
        self._revocations: dict[bytes, None] = {}
        """Those found good, signature first: of such, all members pass a copy on to all others."""
        self._agreement: tuple[Com, Com, Identity, bool] | None = None

    @property
    def com_threshold(self) -> int:
        """COMs of this timestamp and older are void."""
        return max(self._com_revoked, self._cut_off)

    # -- filing ------------------------------------------------------------------------------

    def add(self, credential: Credential, verifier: Verifier) -> AddResult:
        """File a credential of this member, if it is new and its signatures are good."""
        if credential.network_id != self.network_id:
            return AddResult.REJECTED
        match credential:
            case Revocation():
                return self._add_revocation(credential, verifier)
            case Com():
                return self._add_com(credential, verifier)
            case Tag(tag_id=number):
                kind = CredentialType.TAG
                return self._add(self.tags, kind, number, credential, MAX_TAGS, verifier)
            case Capability(capability_id=number):
                kind = CredentialType.CAPABILITY
                store = self.capabilities
                return self._add(store, kind, number, credential, MAX_CAPABILITIES, verifier)
            case CertificateOfOwnership(coo_id=number):
                kind = CredentialType.COO
                return self._add(self.coos, kind, number, credential, MAX_COOS, verifier)

    def _add_com(self, com: Com, verifier: Verifier) -> AddResult:
        if com.issued_to != self.address or com.timestamp <= self.com_threshold:
            return AddResult.REJECTED
        if self.com is not None:
            if com == self.com:
                return AddResult.REDUNDANT
            if com.timestamp < self.com.timestamp:
                return AddResult.REJECTED
        result = _RESULTS[judge(com, verifier)]
        if result is AddResult.NEW:
            self.com = com
        return result

    def _add(
        self,
        store: dict[int, Dated],
        kind: CredentialType,
        number: int,
        credential: Dated,
        most: int,
        verifier: Verifier,
    ) -> AddResult:
        if credential.issued_to != self.address:
            return AddResult.REJECTED
        known = store.get(number)
        if known is not None:
            if credential == known:
                return AddResult.REDUNDANT
            if credential.timestamp < known.timestamp:
                return AddResult.REJECTED
        if credential.timestamp <= self._thresholds.get((kind, number), 0):
            return AddResult.REJECTED
        result = _RESULTS[judge(credential, verifier)]
        if result is AddResult.NEW:
            if known is None and len(store) >= most:
                del store[min(store, key=lambda key: store[key].timestamp)]
            store[number] = credential
        return result

    def _add_revocation(self, revocation: Revocation, verifier: Verifier) -> AddResult:
        kind = revocation.credential_type
        if revocation.target != self.address or kind not in _REVOCABLE:
            return AddResult.REJECTED
        token = revocation.signature + revocation.signing_input()
        if token in self._revocations:
            return AddResult.REDUNDANT
        judgement = judge(revocation, verifier)
        if judgement is not Judgement.OK:
            return _RESULTS[judgement]
        if len(self._revocations) >= MAX_REVOCATIONS:
            del self._revocations[next(iter(self._revocations))]
        self._revocations[token] = None
        threshold = revocation.threshold
        if kind == CredentialType.COM:
            if threshold <= self._com_revoked:
                return AddResult.REDUNDANT
            self._com_revoked = threshold
            return AddResult.NEW
        key = (kind, revocation.credential_id)
        if threshold <= self._thresholds.get(key, 0):
            return AddResult.REDUNDANT
        self._thresholds[key] = threshold
        if len(self._thresholds) > MAX_THRESHOLDS:
            del self._thresholds[min(self._thresholds, key=self._thresholds.__getitem__)]
        # The protocol has it that the member also needs a COM newer than the last such revocation.
        self._cut_off = threshold
        return AddResult.NEW

    # -- judging -----------------------------------------------------------------------------

    def is_allowed(self, config: NetworkConfig, peer: Identity) -> bool:
        """Tell whether the member may talk on the network: the gate (wire.adoc#gate)."""
        if config.is_public:
            return True
        return config.com is not None and self.agrees(config.com, peer)

    def agrees(self, ours: Com, peer: Identity) -> bool:
        """Tell whether the member's COM is in force and agrees with ours."""
        com = self.com
        if com is None or com.timestamp <= self.com_threshold:
            return False
        known = self._agreement
        if known and known[0] is ours and known[1] is com and known[2] == peer:
            return known[3]
        verdict = coms_agree(ours, com, peer)
        self._agreement = (ours, com, peer, verdict)
        return verdict

    def is_spent(self, config: NetworkConfig) -> bool:
        """Tell whether nothing here counts under our configuration, nor will under later ones.

        A revocation is spent once what it makes void is too old to count even without it.
        """
        ours = config.com.max_delta if config.com is not None else 0
        too_old = config.timestamp - max(ours, config.credential_time_max_delta)
        return all(timestamp < too_old for timestamp in self._timestamps())

    def _timestamps(self) -> Iterator[int]:
        """Yield the time of everything that is kept."""
        yield self.com_threshold
        yield from self._thresholds.values()
        if self.com is not None:
            yield self.com.timestamp
        for store in (self.tags, self.capabilities, self.coos):
            yield from (credential.timestamp for credential in store.values())

    def valid_tag(self, tag_id: int, config: NetworkConfig) -> Tag | None:
        """Return a tag that counts under our configuration."""
        tag = self.tags.get(tag_id)
        if tag is None or not self._is_valid(CredentialType.TAG, tag_id, tag.timestamp, config):
            return None
        return tag

    def valid_tags(self, config: NetworkConfig) -> dict[int, int]:
        """Return the values of all tags that count, by ascending id."""
        return {
            number: self.tags[number].value
            for number in sorted(self.tags)
            if self.valid_tag(number, config) is not None
        }

    def valid_capabilities(self, config: NetworkConfig) -> tuple[Capability, ...]:
        """Return the capabilities that count, by ascending id."""
        return self._valid(self.capabilities, CredentialType.CAPABILITY, config)

    def valid_coos(self, config: NetworkConfig) -> tuple[CertificateOfOwnership, ...]:
        """Return the certificates of ownership that count, by ascending id."""
        return self._valid(self.coos, CredentialType.COO, config)

    def owns_ip(self, ip: IpAddress, config: NetworkConfig) -> bool:
        """Tell whether the controller certified that an IP address is the member's."""
        return any(coo.owns_ip(ip) for coo in self.valid_coos(config))

    def owns_mac(self, mac: bytes, config: NetworkConfig) -> bool:
        """Tell whether the controller certified that a MAC is the member's."""
        return any(coo.owns_mac(mac) for coo in self.valid_coos(config))

    def _valid(
        self, store: dict[int, Dated], kind: CredentialType, config: NetworkConfig
    ) -> tuple[Dated, ...]:
        return tuple(
            store[number]
            for number in sorted(store)
            if self._is_valid(kind, number, store[number].timestamp, config)
        )

    def _is_valid(
        self, kind: CredentialType, number: int, timestamp: int, config: NetworkConfig
    ) -> bool:
        age = abs(timestamp - config.timestamp)
        revoked = self._thresholds.get((kind, number), 0)
        return age <= config.credential_time_max_delta and timestamp > revoked


_REVOCABLE: Final = frozenset(CredentialType) - {CredentialType.REVOCATION}
_RESULTS: Final = {
    Judgement.OK: AddResult.NEW,
    Judgement.BAD: AddResult.REJECTED,
    Judgement.NEED_IDENTITY: AddResult.NEED_IDENTITY,
}
