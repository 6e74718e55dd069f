"""Numbers of the protocol: verbs, error codes, flags, versions (wire.adoc#verbs)."""

from enum import IntEnum
from typing import Final

PROTOCOL_VERSION: Final = 12
MIN_PROTOCOL_VERSION: Final = 4
SOFTWARE_VERSION: Final = (1, 14, 1)
"""What we report: peers choose by the protocol number, people read these."""


class Verb(IntEnum):
    """What a packet asks; names as the protocol spells them."""

    NOP = 0x00
    HELLO = 0x01
    ERROR = 0x02
    OK = 0x03
    WHOIS = 0x04
    RENDEZVOUS = 0x05
    FRAME = 0x06
    EXT_FRAME = 0x07
    ECHO = 0x08
    MULTICAST_LIKE = 0x09
    NETWORK_CREDENTIALS = 0x0A
    NETWORK_CONFIG_REQUEST = 0x0B
    NETWORK_CONFIG = 0x0C
    MULTICAST_GATHER = 0x0D
    MULTICAST_FRAME = 0x0E
    PUSH_DIRECT_PATHS = 0x10
    ACK = 0x12
    QOS_MEASUREMENT = 0x13
    USER_MESSAGE = 0x14
    REMOTE_TRACE = 0x15
    PATH_NEGOTIATION_REQUEST = 0x16


class ErrorCode(IntEnum):
    """Why a request was refused."""

    NONE = 0x00
    INVALID_REQUEST = 0x01
    BAD_PROTOCOL_VERSION = 0x02
    OBJ_NOT_FOUND = 0x03
    IDENTITY_COLLISION = 0x04
    UNSUPPORTED_OPERATION = 0x05
    NEED_MEMBERSHIP_CERTIFICATE = 0x06
    NETWORK_ACCESS_DENIED = 0x07
    UNWANTED_MULTICAST = 0x08
    NETWORK_AUTHENTICATION_REQUIRED = 0x09
