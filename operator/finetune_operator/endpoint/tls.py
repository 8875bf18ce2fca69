"""The endpoint's own certificates: an authority and the serving certificate it signs. No I/O; the time is passed in.

The authority is the endpoint's alone, and only the pods of FineTuneJobs trust it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=5 * 365)
SERVING_LIFETIME = timedelta(days=90)
BACKDATED = timedelta(hours=1)
"""Certificates are valid from this long ago, so that a node whose clock is behind accepts them."""


@dataclass(frozen=True)
class Material:
    """What the Secret holds, each as PEM."""

    ca_key: bytes = field(repr=False)
    ca_certs: bytes
    """The authority that signs comes first. The one before it follows: another replica may still serve under it."""
    key: bytes = field(repr=False)
    cert: bytes


class Renewal(IntEnum):
    """How much has to be made anew."""

    NOTHING = 0
    SERVING = 1
    AUTHORITY = 2
    """Authority and serving certificate."""


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """What a client may call the endpoint: its Service, and this machine for developers and tests."""
    return (f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local", "localhost", "127.0.0.1")


def renewal(material: Material | None, names: tuple[str, ...], now: datetime) -> Renewal:
    """What has to be renewed: what is missing, damaged, past two thirds of its life, or does not serve these names."""
    if material is None:
        return Renewal.AUTHORITY
    try:
        authority = x509.load_pem_x509_certificates(material.ca_certs)[0]
        if not _belong(authority, material.ca_key) or _aged(authority, now):
            return Renewal.AUTHORITY
    except (ValueError, TypeError):
        return Renewal.AUTHORITY
    try:
        serving = x509.load_pem_x509_certificate(material.cert)
        serving.verify_directly_issued_by(authority)
        fresh = _belong(serving, material.key) and not _aged(serving, now) and _names(serving) == set(names)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return Renewal.SERVING
    return Renewal.NOTHING if fresh else Renewal.SERVING


def renew(material: Material | None, names: tuple[str, ...], now: datetime) -> Material:
    """The material to serve from now on: this one unless something is due."""
    need = renewal(material, names, now)
    if material is not None and need is Renewal.NOTHING:
        return material
    if material is None or need is Renewal.AUTHORITY:
        ca_key, ca_certs = _new_authority(now)
        ca_certs += _still_valid(material.ca_certs, now) if material else b""
    else:
        ca_key, ca_certs = material.ca_key, material.ca_certs
    key, cert = _new_serving(ca_key, ca_certs, names, now)
    return Material(ca_key, ca_certs, key, cert)


def _aged(cert: x509.Certificate, now: datetime) -> bool:
    start, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    return now < start or now >= start + (end - start) * 2 / 3


def _belong(cert: x509.Certificate, key: bytes) -> bool:
    def spki(public: object) -> bytes:
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise TypeError("the endpoint's keys are ECDSA")
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    return spki(cert.public_key()) == spki(load_pem_private_key(key, None).public_key())


def _names(cert: x509.Certificate) -> set[str]:
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*names.get_values_for_type(x509.DNSName), *(str(ip) for ip in names.get_values_for_type(x509.IPAddress))}


def _still_valid(certs: bytes, now: datetime) -> bytes:
    """The newest of these authorities, if it is good for anything."""
    try:
        newest = x509.load_pem_x509_certificates(certs)[0]
    except ValueError:
        return b""
    return newest.public_bytes(Encoding.PEM) if newest.not_valid_after_utc > now else b""


def _new_authority(now: datetime) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject("finetune-operator progress authority")
    cert = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFETIME, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .sign(key, SHA256())
    )
    return _pem(key), cert.public_bytes(Encoding.PEM)


def _new_serving(ca_key: bytes, ca_certs: bytes, names: tuple[str, ...], now: datetime) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.load_pem_x509_certificates(ca_certs)[0]
    signer = load_pem_private_key(ca_key, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("the endpoint's keys are ECDSA")
    subject = _subject("finetune-operator progress endpoint")
    cert = (
        _builder(subject, authority.subject, key.public_key(), now, SERVING_LIFETIME, signer.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(signer, SHA256())
    )
    return _pem(key), cert.public_bytes(Encoding.PEM)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    lifetime: timedelta,
    signer: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now - BACKDATED + lifetime)
        # Both key identifiers: strict verifiers (Python 3.13's default context) refuse a chain without them.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
