"""Who is who in a cluster of the bench (ci/cluster/keys)."""

import json
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from ci.cluster.keys import AUTHORITY, Keys, Subject


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


def certificate(keys: Keys, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(keys.certificate(name).read_bytes())


def test_a_certificate_names_user_and_group(keys: Keys) -> None:
    keys.issue("node-1", Subject("system:node:node-1", "system:nodes"))
    subject = certificate(keys, "node-1").subject
    assert subject.rfc4514_string() == "CN=system:node:node-1,O=system:nodes"


def test_a_certificate_is_signed_by_the_authority(keys: Keys) -> None:
    keys.issue("admin", Subject("admin"))
    certificate(keys, "admin").verify_directly_issued_by(certificate(keys, AUTHORITY))


def test_only_the_authority_may_sign(keys: Keys) -> None:
    keys.issue("admin", Subject("admin"))
    constraints = [
        certificate(keys, name).extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        for name in (AUTHORITY, "admin")
    ]
    assert constraints == [True, False]


def test_a_server_has_names_and_addresses(keys: Keys) -> None:
    keys.issue("apiserver", Subject("kube-apiserver"), ("10.96.0.1", "kubernetes"))
    extensions = certificate(keys, "apiserver").extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("10.96.0.1")]
    assert names.get_values_for_type(x509.DNSName) == ["kubernetes"]


def test_a_key_is_for_its_owner_alone(keys: Keys) -> None:
    keys.issue("admin", Subject("admin"))
    assert keys.key("admin").stat().st_mode & 0o777 == 0o600


def test_a_pair_has_both_halves(keys: Keys) -> None:
    keys.draw_pair("accounts")
    secret = load_pem_private_key(keys.key("accounts").read_bytes(), None)
    public = load_pem_public_key((keys.directory / "accounts.pub").read_bytes())
    assert secret.public_key() == public


def test_a_clients_file_leads_to_the_server_and_to_its_own_key(keys: Keys) -> None:
    keys.issue_client("admin", Subject("admin"), "https://10.250.0.1")
    config = json.loads(keys.kubeconfig("admin").read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://10.250.0.1"
    assert config["users"][0]["user"]["client-key"] == str(keys.key("admin"))
