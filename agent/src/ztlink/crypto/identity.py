"""Keys of identities: agreement and signatures (wire.adoc#identity)."""

import hashlib
import hmac
from typing import Final

from nacl import bindings, exceptions

from ztlink.errors import CryptoError
from ztlink.wire.identity import Identity, SecretIdentity

SIGNATURE_SIZE: Final = 96
MASTER_KEY_SIZE: Final = 48


def has_matching_keys(secret: SecretIdentity) -> bool:
    """Tell whether the private keys give the public ones."""
    exchange = bindings.crypto_scalarmult_base(secret.private_key[:32])
    signing = bindings.crypto_sign_seed_keypair(secret.private_key[32:])[0]
    return bool(exchange + signing == secret.public.public_key)


def agree(secret: SecretIdentity, public: Identity) -> bytes:
    """Return the 48-byte master key of a pair; CryptoError where the other's key is unusable."""
    try:
        shared = bindings.crypto_scalarmult(secret.private_key[:32], public.public_key[:32])
    except (exceptions.CryptoError, RuntimeError) as error:
        raise CryptoError(f"key agreement: {public.address:010x} has an unusable key") from error
    if shared == bytes(32):
        raise CryptoError(f"key agreement: {public.address:010x} has a key of low order")
    return hashlib.sha512(shared).digest()[:MASTER_KEY_SIZE]


def sign(secret: SecretIdentity, message: bytes) -> bytes:
    """Return the 96-byte signature of a message."""
    digest = hashlib.sha512(message).digest()[:32]
    signed = bindings.crypto_sign(digest, secret.private_key[32:] + secret.public.public_key[32:])
    return bytes(signed[:64] + digest)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Check a 96-byte signature under a 64-byte public key."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    digest = hashlib.sha512(message).digest()[:32]
    if not hmac.compare_digest(digest, signature[64:]):
        return False
    try:
        bindings.crypto_sign_open(signature[:64] + digest, public_key[32:])
    except exceptions.BadSignatureError:
        return False
    return True


def public_key_hash(identity: Identity) -> bytes:
    """Return the 48-byte hash that ties a credential to an identity (wire.adoc#com)."""
    return hashlib.sha384(identity.address.to_bytes(5, "big") + identity.public_key).digest()
