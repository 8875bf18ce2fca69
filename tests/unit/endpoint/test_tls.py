"""Certificates: when they are renewed, and that clients accept them for the endpoint's names and no other."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from finetune_operator.endpoint.tls import (
    AUTHORITY_LIFETIME,
    BACKDATED,
    SERVING_LIFETIME,
    Material,
    Renewal,
    renew,
    renewal,
    service_names,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAMES = service_names("progress", "finetune-system")
MATERIAL = renew(None, NAMES, NOW)
OTHER = renew(None, NAMES, NOW)

DUE_SERVING = NOW - BACKDATED + SERVING_LIFETIME * 2 / 3
DUE_AUTHORITY = NOW - BACKDATED + AUTHORITY_LIFETIME * 2 / 3
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("material", "names", "now", "want"),
    [
        pytest.param(None, NAMES, NOW, Renewal.AUTHORITY, id="an empty Secret"),
        pytest.param(MATERIAL, NAMES, NOW, Renewal.NOTHING, id="just made"),
        pytest.param(MATERIAL, NAMES, DUE_SERVING - SECOND, Renewal.NOTHING, id="a second before two thirds"),
        pytest.param(MATERIAL, NAMES, DUE_SERVING, Renewal.SERVING, id="two thirds of its life"),
        pytest.param(MATERIAL, NAMES, NOW + SERVING_LIFETIME * 2, Renewal.SERVING, id="long expired"),
        pytest.param(MATERIAL, NAMES, DUE_AUTHORITY, Renewal.AUTHORITY, id="two thirds of the authority's life"),
        pytest.param(MATERIAL, NAMES, NOW - BACKDATED - SECOND, Renewal.AUTHORITY, id="from the future"),
        pytest.param(MATERIAL, service_names("other", "ns"), NOW, Renewal.SERVING, id="the Service was renamed"),
        pytest.param(replace(MATERIAL, cert=b"?"), NAMES, NOW, Renewal.SERVING, id="damaged certificate"),
        pytest.param(replace(MATERIAL, key=b"?"), NAMES, NOW, Renewal.SERVING, id="damaged key"),
        pytest.param(replace(MATERIAL, key=OTHER.key), NAMES, NOW, Renewal.SERVING, id="another certificate's key"),
        pytest.param(
            replace(MATERIAL, key=OTHER.key, cert=OTHER.cert),
            NAMES,
            NOW,
            Renewal.SERVING,
            id="signed by another authority",
        ),
        pytest.param(replace(MATERIAL, cert=MATERIAL.ca_certs), NAMES, NOW, Renewal.SERVING, id="serves the authority"),
        pytest.param(replace(MATERIAL, ca_certs=b""), NAMES, NOW, Renewal.AUTHORITY, id="no authority"),
        pytest.param(replace(MATERIAL, ca_key=b"?"), NAMES, NOW, Renewal.AUTHORITY, id="damaged authority key"),
        pytest.param(
            replace(MATERIAL, ca_key=OTHER.ca_key), NAMES, NOW, Renewal.AUTHORITY, id="another authority's key"
        ),
    ],
)
def test_renewal(material: Material | None, names: tuple[str, ...], now: datetime, want: Renewal) -> None:
    assert renewal(material, names, now) is want
    assert renewal(renew(material, names, now), names, now) is Renewal.NOTHING


def test_what_is_good_stays_itself() -> None:
    assert renew(MATERIAL, NAMES, NOW) is MATERIAL


def test_a_serving_renewal_keeps_the_authority() -> None:
    renewed = renew(MATERIAL, NAMES, DUE_SERVING)
    assert (renewed.ca_key, renewed.ca_certs) == (MATERIAL.ca_key, MATERIAL.ca_certs)
    assert renewed.key != MATERIAL.key


def test_a_new_authority_is_published_with_the_one_before_it_and_no_older() -> None:
    second = renew(MATERIAL, NAMES, DUE_AUTHORITY)
    third = renew(second, NAMES, DUE_AUTHORITY + AUTHORITY_LIFETIME * 2 / 3)
    first, of_second, of_third = (x509.load_pem_x509_certificates(each.ca_certs) for each in (MATERIAL, second, third))
    assert of_second[1:] == first
    assert of_third[1:] == of_second[:1]


def test_lifetimes_and_kinds() -> None:
    authority = x509.load_pem_x509_certificates(MATERIAL.ca_certs)[0]
    serving = x509.load_pem_x509_certificate(MATERIAL.cert)
    assert authority.not_valid_after_utc - authority.not_valid_before_utc == timedelta(days=5 * 365)
    assert serving.not_valid_after_utc - serving.not_valid_before_utc == timedelta(days=90)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not serving.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert serving.public_key().curve.name == "secp256r1"  # type: ignore[union-attr]


def test_keys_do_not_show_when_printed() -> None:
    assert "PRIVATE" not in repr(MATERIAL)


@pytest.mark.parametrize("name", NAMES)
def test_a_strict_client_accepts_each_name(name: str, tmp_path: Path) -> None:
    handshake(renew(None, NAMES, datetime.now(UTC)), name, tmp_path)


@pytest.mark.parametrize("name", ["progress.other.svc", "finetune-system.svc", "127.0.0.2"])
def test_a_client_refuses_other_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(renew(None, NAMES, datetime.now(UTC)), name, tmp_path)


def test_a_client_refuses_another_authority(tmp_path: Path) -> None:
    material = renew(None, NAMES, datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(replace(material, ca_certs=OTHER.ca_certs), NAMES[0], tmp_path)


def handshake(material: Material, name: str, tmp_path: Path) -> None:
    """TLS in memory between the pair and a client that trusts the authority, as strict as Python 3.13 is by default."""
    pair = tmp_path / "pair.pem"
    pair.write_bytes(material.key + material.cert)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pair)
    trusting = ssl.create_default_context(cadata=material.ca_certs.decode())
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    pending = [client, server]
    while pending:
        for side in list(pending):
            try:
                side.do_handshake()
                pending.remove(side)
            except ssl.SSLWantReadError:
                pass
