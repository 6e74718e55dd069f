"""Records as the database keeps them: written once a change, read all at a start."""

import json
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from ztlink.controller.fields import read_fields
from ztlink.controller.records import (
    MEMBER_FIELDS,
    NETWORK_FIELDS,
    NETWORK_FILE_FIELDS,
    MemberRecord,
    NetworkRecord,
)
from ztlink.ids import parse_address, parse_network_id

_network_id = lru_cache(maxsize=64)(parse_network_id)
"""One number for all members of a network."""


@lru_cache(maxsize=16)
def text_of(record: NetworkRecord | MemberRecord) -> str:
    """Return a record as JSON, with nothing between its parts; what is kept is shown next."""
    return json.dumps(record.to_json(), separators=(",", ":"))


def network_from_kept(content: dict[str, Any]) -> NetworkRecord:
    """Return a network; FieldError, KeyError or ValueError where the record is none."""
    bare = NetworkRecord(
        parse_network_id(content["id"]), content["creationTime"], revision=content["revision"]
    )
    return replace(bare, **read_fields(content, {**NETWORK_FIELDS, **NETWORK_FILE_FIELDS}))


def member_from_kept(content: dict[str, Any]) -> MemberRecord:
    """Return a member; FieldError, KeyError or ValueError where the record is none.

    There may be very many: what a change has checked before it was kept is not checked again,
    unless it is there seldom.
    """
    member = MemberRecord(
        _network_id(content["nwid"]),
        parse_address(content["address"]),
        content["creationTime"],
        authorized=content["authorized"] is True,
        active_bridge=content["activeBridge"] is True,
        no_auto_assign_ips=content["noAutoAssignIps"] is True,
        name=content.get("name", ""),
        revision=content["revision"],
        identity=content.get("identity", ""),
        ip_assignments=tuple(map(ip_address, content["ipAssignments"])),
        capabilities=tuple(content["capabilities"]),
        tags=tuple([(number, value) for number, value in content["tags"]]),
        last_authorized_unix_ms=content["lastAuthorizedTime"],
        last_deauthorized_unix_ms=content["lastDeauthorizedTime"],
        credential_type=content["lastAuthorizedCredentialType"],
        credential=content["lastAuthorizedCredential"],
        authentication_expiry=content["authenticationExpiryTime"],
        sso_exempt=content["ssoExempt"] is True,
        trace_level=content["remoteTraceLevel"],
        version=_version(content["vMajor"], content["vMinor"], content["vRev"]),
        protocol=content["vProto"],
    )
    if content["remoteTraceTarget"] is None:
        return member
    return replace(member, **read_fields(content, MEMBER_FIELDS))


@lru_cache(maxsize=256)
def _version(major: int, minor: int, revision: int) -> tuple[int, int, int]:
    return major, minor, revision
