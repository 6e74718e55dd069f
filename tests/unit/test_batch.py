import pytest

from ztlink.batch import (
    MAX_TRAIN_DATAGRAMS,
    MAX_TRAIN_SIZE,
    CipherSuite,
    Gso,
    Outcome,
    PacketBatch,
    SuperFrame,
    Verdict,
)


def test_a_batch_counts_the_packets_that_were_named() -> None:
    batch = PacketBatch(memoryview(bytearray(100)))
    batch.append(0, 40)
    batch.append(40, 60)
    assert len(batch) == 2


def test_a_batch_keeps_spans_in_order() -> None:
    batch = PacketBatch(memoryview(bytearray(100)))
    batch.append(40, 60)
    batch.append(0, 40)
    assert list(zip(batch.starts, batch.sizes, strict=True)) == [(40, 60), (0, 40)]


def test_a_batch_shows_the_callers_bytes_without_a_copy() -> None:
    data = bytearray(b"abcd")
    batch = PacketBatch(memoryview(data))
    data[0] = ord("z")
    assert bytes(batch.buffer) == b"zbcd"


def test_a_plain_frame_is_not_to_be_cut() -> None:
    frame = SuperFrame(memoryview(b""))
    assert (frame.gso, frame.needs_checksum) == (Gso.NONE, False)


def test_a_train_fits_one_send_of_equal_datagrams() -> None:
    assert MAX_TRAIN_DATAGRAMS * 1432 <= MAX_TRAIN_SIZE < 65_507


@pytest.mark.parametrize(
    ("suite", "number"),
    [
        (CipherSuite.POLY_NONE, 0),
        (CipherSuite.SALSA_POLY, 1),
        (CipherSuite.TRUSTED, 2),
        (CipherSuite.GMAC_SIV, 3),
    ],
)
def test_suites_have_the_numbers_of_the_wire(suite: CipherSuite, number: int) -> None:
    assert suite == number


def test_an_outcome_asks_for_nobody_unless_told() -> None:
    assert Outcome(Verdict.RETRY).whois is None
