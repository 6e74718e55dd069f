"""Keys of a cluster: an authority, certificates of its components, files that name them."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY: Final = "authority"
LIFE: Final = datetime.timedelta(days=30)
SLACK: Final = datetime.timedelta(hours=1)  # of clocks that were set in between
MASTERS: Final = "system:masters"  # the group that may do all


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate names; Kubernetes reads user and group from there."""

    user: str
    group: str = ""

    def name(self) -> x509.Name:
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, self.user)]
        if self.group:
            attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.group))
        return x509.Name(attributes)


class Keys:
    """Keys and certificates in one directory, each pair `<name>.key`, `<name>.crt`."""

    def __init__(self, directory: Path) -> None:
        """Make the authority anew."""
        directory.mkdir(mode=0o700)
        self.directory: Final = directory
        self._key: Final = self._draw(AUTHORITY)
        self._subject: Final = Subject("cluster").name()
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            self._builder(self._subject, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        self._sign(AUTHORITY, builder)

    def key(self, name: str) -> Path:
        return self.directory / f"{name}.key"

    def certificate(self, name: str) -> Path:
        return self.directory / f"{name}.crt"

    def kubeconfig(self, name: str) -> Path:
        return self.directory / f"{name}.conf"

    def issue(self, name: str, subject: Subject, alternatives: Sequence[str] = ()) -> None:
        """Draw a key and certify it, for both ends of TLS; `alternatives` are names and IPs."""
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            self._builder(subject.name(), self._draw(name))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if alternatives:
            names = x509.SubjectAlternativeName([_general_name(text) for text in alternatives])
            builder = builder.add_extension(names, critical=False)
        self._sign(name, builder)

    def issue_client(self, name: str, subject: Subject, server: str) -> None:
        """Issue a certificate, and write the file by which a client finds the API server."""
        self.issue(name, subject)
        self.write_kubeconfig(name, server)

    def write_kubeconfig(self, name: str, server: str) -> None:
        authority = str(self.certificate(AUTHORITY))
        user = {
            "client-certificate": str(self.certificate(name)),
            "client-key": str(self.key(name)),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "bench", "cluster": {"server": server, "certificate-authority": authority}}
            ],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": name}}],
            "current-context": "bench",
        }
        self.kubeconfig(name).write_text(json.dumps(config, indent=1))

    def draw_pair(self, name: str) -> None:
        """Draw a key without a certificate, and write its public half as `<name>.pub`."""
        public = self._draw(name).public_key()
        text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (self.directory / f"{name}.pub").write_bytes(text)

    def _draw(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        self.key(name).touch(mode=0o600)
        self.key(name).write_bytes(text)
        return key

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SLACK)
            .not_valid_after(now + LIFE)
        )

    def _sign(self, name: str, builder: x509.CertificateBuilder) -> None:
        certificate = builder.sign(self._key, hashes.SHA256())
        self.certificate(name).write_bytes(certificate.public_bytes(Encoding.PEM))


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
