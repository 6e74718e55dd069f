import pytest

from ztlink import errors
from ztlink.errors import (
    ConfigError,
    CryptoError,
    HostError,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    TruncatedError,
    UnavailableError,
    WireError,
    ZtError,
)

TREE: list[type[Exception]] = [
    error for error in vars(errors).values() if isinstance(error, type) and error is not ZtError
]


@pytest.mark.parametrize("error", TREE)
def test_every_error_is_a_zt_error(error: type[Exception]) -> None:
    assert issubclass(error, ZtError)


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (WireError, ValueError),
        (TruncatedError, WireError),
        (HostError, OSError),
        (UnavailableError, RuntimeError),
        (LocalProtocolError, ProtocolError),
        (RemoteProtocolError, ProtocolError),
    ],
)
def test_an_error_may_be_caught_as_its_kind(error: type[Exception], also: type[Exception]) -> None:
    assert issubclass(error, also)


@pytest.mark.parametrize("error", [CryptoError, ProtocolError, ConfigError, HostError])
def test_only_decoding_raises_wire_errors(error: type[Exception]) -> None:
    assert not issubclass(error, WireError)


def test_a_remote_protocol_error_carries_the_code_that_answers_it() -> None:
    error = RemoteProtocolError("WHOIS: too many", 0x01)
    assert (str(error), error.code) == ("WHOIS: too many", 0x01)


def test_a_host_error_keeps_the_number_of_the_kernel() -> None:
    assert HostError(16, "busy").errno == 16
