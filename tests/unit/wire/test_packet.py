from ztlink.wire import packet


def test_the_header_ends_with_the_verb() -> None:
    assert packet.HEADER.size == packet.SIZE_HEADER == packet.OFFSET_VERB + 1


def test_the_header_has_its_fields_where_the_offsets_say() -> None:
    header = packet.HEADER.pack(b"IDIDIDID", b"DESTI", b"SOURC", 0x88, b"AUTHTAG_", 0x06)
    assert (
        header[packet.OFFSET_PACKET_ID : packet.OFFSET_DESTINATION],
        header[packet.OFFSET_DESTINATION : packet.OFFSET_SOURCE],
        header[packet.OFFSET_SOURCE : packet.OFFSET_FLAGS],
        header[packet.OFFSET_FLAGS],
        header[packet.OFFSET_AUTH_TAG : packet.OFFSET_VERB],
        header[packet.OFFSET_VERB :],
    ) == (b"IDIDIDID", b"DESTI", b"SOURC", 0x88, b"AUTHTAG_", b"\x06")


def test_the_payload_follows_the_header() -> None:
    assert packet.OFFSET_PAYLOAD == packet.SIZE_HEADER


def test_the_flag_byte_is_shared_without_overlap() -> None:
    parts = (
        packet.FLAG_LEGACY_ENCRYPTED,
        packet.FLAG_FRAGMENTED,
        packet.MASK_SUITE,
        packet.MASK_HOPS,
    )
    assert sum(parts) == 0xFF


def test_only_the_hops_are_outside_the_auth_tag() -> None:
    assert packet.MASK_AUTHENTICATED_FLAGS == 0xFF ^ packet.MASK_HOPS


def test_the_fragment_marker_lies_on_the_source_address() -> None:
    assert packet.OFFSET_FRAGMENT_MARKER == packet.OFFSET_SOURCE


def test_the_fragment_header_has_its_fields_where_the_offsets_say() -> None:
    header = packet.FRAGMENT_HEADER.pack(b"IDIDIDID", b"DESTI", packet.FRAGMENT_MARKER, 0x21, 3)
    assert (
        len(header),
        header[packet.OFFSET_FRAGMENT_MARKER],
        header[packet.OFFSET_FRAGMENT_COUNTS],
        header[packet.OFFSET_FRAGMENT_HOPS],
    ) == (packet.SIZE_FRAGMENT_HEADER, 0xFF, 0x21, 3)


def test_the_largest_packet_is_seven_datagrams() -> None:
    assert packet.MAX_PACKET_SIZE == packet.MAX_FRAGMENTS * packet.DEFAULT_PATH_MTU
