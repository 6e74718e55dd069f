"""Judges who signed a credential (wire.adoc#credentials)."""

from collections.abc import Callable
from enum import Enum, auto

from ztlink.crypto.identity import verify
from ztlink.ids import Address, controller_of
from ztlink.wire.credentials import Capability, Credential
from ztlink.wire.identity import Identity

Verifier = Callable[[Address, bytes, bytes], bool | None]
"""Checks a signature (third) of an address (first) on a message (second); None: nobody we know."""


class Judgement(Enum):
    """What the signatures of a credential are worth."""

    OK = auto()
    BAD = auto()
    NEED_IDENTITY = auto()
    """The signer is not known yet: ask who it is, then judge again."""


def make_verifier(identity_of: Callable[[Address], Identity | None]) -> Verifier:
    """Return a verifier that looks signers up."""

    def verifier(signer: Address, message: bytes, signature: bytes) -> bool | None:
        identity = identity_of(signer)
        return None if identity is None else verify(identity.public_key, message, signature)

    return verifier


class CountingVerifier:
    """Counts the signatures that a verifier has checked."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self.checked = 0

    def __call__(self, signer: Address, message: bytes, signature: bytes) -> bool | None:
        """Check a signature."""
        good = self._verifier(signer, message, signature)
        self.checked += good is not None
        return good


def judge(credential: Credential, verifier: Verifier) -> Judgement:
    """Check that a credential comes from the controller of the network that it names."""
    controller = controller_of(credential.network_id)
    if isinstance(credential, Capability):
        return _judge_chain(credential, controller, verifier)
    if credential.signer != controller:
        return Judgement.BAD
    return _check(controller, credential.signing_input(), credential.signature, verifier)


def _judge_chain(capability: Capability, controller: Address, verifier: Verifier) -> Judgement:
    """Follow a capability from the controller through all who held it."""
    holder = controller
    message = capability.signing_input()
    for step in capability.custody:
        if step.issuer != holder:
            return Judgement.BAD
        judgement = _check(holder, message, step.signature, verifier)
        if judgement is not Judgement.OK:
            return judgement
        holder = step.issued_to
    return Judgement.OK if capability.custody else Judgement.BAD


def _check(signer: Address, message: bytes, signature: bytes, verifier: Verifier) -> Judgement:
    if not signature:
        return Judgement.BAD
    good = verifier(signer, message, signature)
    if good is None:
        return Judgement.NEED_IDENTITY
    return Judgement.OK if good else Judgement.BAD
