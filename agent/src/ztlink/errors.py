"""The exception tree, and the reasons for which a packet goes no further."""


class ZtError(Exception):
    """The base of all errors of this package; never caught to hide a bug."""


class WireError(ZtError, ValueError):
    """Bytes do not decode; the only error that remote bytes may raise."""


class TruncatedError(WireError):
    """Bytes end before the field that was to be read."""


class CryptoError(ZtError):
    """A key or a signature is not good."""


class ProtocolError(ZtError):
    """A rule of the protocol was broken."""


class LocalProtocolError(ProtocolError):
    """Our own caller broke a rule."""


class RemoteProtocolError(ProtocolError):
    """The other side broke a rule; it is answered by an ERROR with `code`."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ConfigError(ZtError):
    """Settings or state files are wrong; the message says what to do."""


class UnavailableError(ZtError, RuntimeError):
    """The node ends, or has more to do than it can keep: it may be asked again."""


class HostError(ZtError, OSError):
    """The kernel refused a TAP, netlink or firewall operation."""


class StackError(ZtError, OSError):
    """The user-space stack cannot do what was asked; `errno` is what a kernel would say."""
