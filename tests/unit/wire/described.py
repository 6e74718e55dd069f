"""Messages in the form in which the golden files describe them."""

from hashlib import sha256
from typing import Any

from ztlink.ids import Endpoint, MulticastGroup, format_address, format_mac, format_network_id
from ztlink.wire.control import (
    DirectPath,
    Echo,
    Error,
    Hello,
    Nop,
    OkHeader,
    OkHello,
    OkWhois,
    PushDirectPaths,
    Rendezvous,
    Whois,
)
from ztlink.wire.credentials import Capability, CertificateOfOwnership, Com, Revocation, Tag
from ztlink.wire.message import Message
from ztlink.wire.network import (
    ConfigChunk,
    ExtFrame,
    Frame,
    GatherResults,
    MulticastFrame,
    MulticastGather,
    MulticastLike,
    NetworkConfigRequest,
    NetworkCredentials,
    OkExtFrame,
    OkMulticastFrame,
    OkMulticastGather,
)
from ztlink.wire.rules import encode_rules
from ztlink.wire.user import (
    PathNegotiationRequest,
    QosMeasurement,
    RemoteTrace,
    UserMessage,
)
from ztlink.wire.verbs import Verb

REPLIES: dict[int, type[Message]] = {
    Verb.EXT_FRAME: OkExtFrame,
    Verb.ECHO: Echo,
    Verb.NETWORK_CONFIG_REQUEST: ConfigChunk,
    Verb.MULTICAST_GATHER: OkMulticastGather,
    Verb.MULTICAST_FRAME: OkMulticastFrame,
}
"""Bodies of replies; those of HELLO and WHOIS are decoded with their headers."""

REQUESTS: dict[str, type[Message]] = {
    "HELLO": Hello,
    "NOP": Nop,
    "ERROR": Error,
    "WHOIS": Whois,
    "RENDEZVOUS": Rendezvous,
    "FRAME": Frame,
    "EXT_FRAME": ExtFrame,
    "ECHO": Echo,
    "MULTICAST_LIKE": MulticastLike,
    "NETWORK_CREDENTIALS": NetworkCredentials,
    "NETWORK_CONFIG_REQUEST": NetworkConfigRequest,
    "NETWORK_CONFIG": ConfigChunk,
    "MULTICAST_GATHER": MulticastGather,
    "MULTICAST_FRAME": MulticastFrame,
    "PUSH_DIRECT_PATHS": PushDirectPaths,
    "QOS_MEASUREMENT": QosMeasurement,
    "USER_MESSAGE": UserMessage,
    "REMOTE_TRACE": RemoteTrace,
    "PATH_NEGOTIATION_REQUEST": PathNegotiationRequest,
}

Fields = dict[str, Any]


def describe(message: object) -> Fields:
    """Return the fields of a VL1 message, or those of a VL2 message."""
    match message:
        case Nop() | Echo():
            return {"payload": message.payload.hex()}
        case Hello():
            return _hello(message)
        case OkHeader(verb, packet_id):
            return {"in_re_verb": verb, "in_re_packet_id": f"{packet_id:016x}"}
        case OkHello():
            return _ok_hello(message)
        case Error():
            return _error(message)
        case Whois(addresses):
            return {"addresses": [format_address(a) for a in addresses]}
        case OkWhois(packet_id, identities):
            header = describe(OkHeader(Verb.WHOIS, packet_id))
            return header | {"identities": [str(identity) for identity in identities]}
        case Rendezvous(peer, Endpoint(ip, port)):
            return {"flags": 0, "peer": format_address(peer), "port": port, "ip": str(ip)}
        case PushDirectPaths(paths):
            return {"paths": [_direct_path(path) for path in paths]}
        case _:
            return _describe_user(message)


def _describe_user(message: object) -> Fields:
    match message:
        case UserMessage(type_id, data):
            return {"type_id": f"{type_id:016x}", "data": data.hex()}
        case RemoteTrace(dictionaries):
            return {"dictionaries": [text.hex() for text in dictionaries]}
        case PathNegotiationRequest(utility):
            return {"utility": utility}
        case QosMeasurement(records):
            return {
                "records": [
                    {
                        "packet_id_sender_native": r.packet_id.to_bytes(8, "little").hex(),
                        "holding_time_sender_native": r.holding_time_ms.to_bytes(2, "little").hex(),
                    }
                    for r in records
                ]
            }
        case _:
            return _describe_network(message)


def _describe_network(message: object) -> Fields:
    match message:
        case Frame():
            return _frame(message)
        case ExtFrame():
            com = {"com": _credential(message.com)} if message.com else {}
            macs = {
                "dest_mac": format_mac(message.destination),
                "source_mac": format_mac(message.source),
            }
            return _frame(message) | {"flags": message.flags | bool(com)} | com | macs
        case OkExtFrame(network_id):
            return {"network_id": format_network_id(network_id)}
        case NetworkConfigRequest():
            return _config_request(message)
        case ConfigChunk():
            return _chunk(message)
        case NetworkCredentials():
            lists = ("coms", "capabilities", "tags", "revocations", "coos")
            return {name: [_credential(c) for c in getattr(message, name)] for name in lists}
        case MulticastLike(likes):
            return {
                "groups": [
                    {"network_id": format_network_id(like.network_id)} | _group(like.group)
                    for like in likes
                ]
            }
        case _:
            return _describe_multicast(message)


def _describe_multicast(message: object) -> Fields:
    match message:
        case MulticastGather(network_id, group, limit, com):
            return {
                "network_id": format_network_id(network_id),
                "flags": int(com is not None),
                "group": _group(group),
                "limit": limit,
            } | ({"com": _credential(com)} if com else {})
        case OkMulticastGather(network_id, group, results):
            network = {"network_id": format_network_id(network_id)}
            return network | {"group": _group(group), "results": _results(results)}
        case MulticastFrame():
            return _multicast_frame(message)
        case OkMulticastFrame(network_id, group, com, results):
            fields: Fields = {
                "network_id": format_network_id(network_id),
                "group": _group(group),
                "flags": (com is not None) | (results is not None) << 1,
            }
            fields |= {"com": _credential(com)} if com else {}
            return fields | ({"results": _results(results)} if results else {})
        case _:
            raise TypeError(f"{type(message).__name__} has no description")


def _endpoint(endpoint: Endpoint | None) -> str:
    return "nil" if endpoint is None else str(endpoint)


def _version(protocol: int, version: tuple[int, int, int]) -> Fields:
    keys = ("version_major", "version_minor", "version_revision")
    return {"protocol_version": protocol} | dict(zip(keys, version, strict=True))


def _hello(hello: Hello) -> Fields:
    fields = _version(hello.protocol, hello.version)
    fields |= {"timestamp": hello.timestamp, "identity": str(hello.identity)}
    if hello.planet_id is not None:
        fields["physical_destination"] = _endpoint(hello.destination)
        fields["planet_id"] = f"{hello.planet_id:016x}"
        fields["planet_timestamp"] = hello.planet_timestamp
    return fields


def _ok_hello(ok: OkHello) -> Fields:
    worlds = b"".join(world.to_bytes() for world in ok.worlds)
    fields = describe(OkHeader(Verb.HELLO, ok.in_re_packet_id)) | {"timestamp_echo": ok.timestamp}
    fields |= _version(ok.protocol, ok.version)
    return fields | {
        "physical_address": _endpoint(ok.source),
        "worlds_length": len(worlds),
        "worlds": worlds.hex(),
    }


def _error(error: Error) -> Fields:
    header = describe(OkHeader(error.in_re_verb, error.in_re_packet_id))
    return header | {"error_code": error.code, "body": error.body.hex()}


def _direct_path(path: DirectPath) -> Fields:
    fields: Fields = {"flags": path.flags, "extension": path.extension.hex()}
    if path.endpoint is not None:
        ip, port = path.endpoint.ip, path.endpoint.port
        return fields | {"address_type": ip.version, "ip": str(ip), "port": port}
    if path.other is not None:
        kind, data = path.other
        return fields | {"address_type": kind, "address": data.hex()}
    return fields


def _group(group: MulticastGroup) -> Fields:
    return {"mac": format_mac(group.mac), "adi": group.adi}


def _results(results: GatherResults) -> Fields:
    members = [format_address(member) for member in results.members]
    return {"total_known": results.total_known, "members": members}


def _frame(frame: Frame | ExtFrame | MulticastFrame) -> Fields:
    return {
        "network_id": format_network_id(frame.network_id),
        "ethertype": f"{frame.ethertype:04x}",
        "frame": frame.payload.hex(),
    }


def _multicast_frame(frame: MulticastFrame) -> Fields:
    flags = (frame.com is not None) | (frame.gather_limit is not None) << 1
    flags |= (frame.source is not None) << 2 | frame.wants_replication << 3
    fields = _frame(frame) | {"flags": flags, "group": _group(frame.group)}
    fields |= {"com": _credential(frame.com)} if frame.com else {}
    fields |= {} if frame.gather_limit is None else {"gather_limit": frame.gather_limit}
    return fields | ({"source_mac": format_mac(frame.source)} if frame.source else {})


def _config_request(request: NetworkConfigRequest) -> Fields:
    fields: Fields = {
        "network_id": format_network_id(request.network_id),
        "metadata": request.metadata.hex(),
    }
    if request.revision is not None:
        fields |= {"have_revision": request.revision, "have_timestamp": request.timestamp}
    return fields


def _chunk(chunk: ConfigChunk) -> Fields:
    return {
        "network_id": format_network_id(chunk.network_id),
        "slice_length": len(chunk.data),
        "slice": {"length": len(chunk.data), "sha256": sha256(chunk.data).hexdigest()},
        "flags": chunk.flags,
        "update_id": f"{chunk.update_id:016x}",
        "total_length": chunk.total_size,
        "index": chunk.index,
        "signature_type": 1,
        "signature": chunk.signature.hex(),
    }


Credential = Com | Capability | Tag | CertificateOfOwnership | Revocation


def _credential(credential: Credential) -> Fields:
    return {"bytes": credential.to_bytes().hex(), "fields": describe_credential(credential)}


def describe_credential(credential: Credential) -> Fields:
    """Return the fields of a credential."""
    fields: Fields = {"network_id": format_network_id(credential.network_id)}
    if not isinstance(credential, Capability):
        fields["signer"] = format_address(credential.signer)
    if not isinstance(credential, Revocation):
        fields["timestamp"] = credential.timestamp
        fields["issued_to"] = format_address(credential.issued_to) if credential.issued_to else None
    match credential:
        case Com(qualifiers):
            triples = [(q.qualifier_id, q.value, q.max_delta) for q in qualifiers]
            hexes = [[f"{number:016x}" for number in triple] for triple in triples]
            return fields | {"type": "com", "qualifiers": hexes}
        case Tag():
            return fields | {"type": "tag", "id": credential.tag_id, "value": credential.value}
        case CertificateOfOwnership():
            things = [[thing.thing_type, thing.value.hex()] for thing in credential.things]
            numbers = {"flags": credential.flags, "id": credential.coo_id}
            return fields | {"type": "coo", "things": things} | numbers
        case Capability():
            return fields | _capability(credential)
        case Revocation():
            return fields | {
                "type": "revocation",
                "id": credential.revocation_id,
                "credential_id": credential.credential_id,
                "threshold": credential.threshold,
                "flags": credential.flags,
                "target": format_address(credential.target),
                "credential_type": credential.credential_type,
            }


def _capability(capability: Capability) -> Fields:
    custody = [
        {
            "to": format_address(step.issued_to),
            "from": format_address(step.issuer),
            "signature": step.signature.hex(),
        }
        for step in capability.custody
    ]
    return {
        "type": "capability",
        "id": capability.capability_id,
        "rules_binary": encode_rules(capability.rules).hex(),
        "max_chain": capability.max_chain,
        "custody": custody,
    }
