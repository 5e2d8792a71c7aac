"""Service providers, their sessions with us, and the names by which they know people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from cas_saml.attributes import check_mapping, check_source
from cas_saml.saml import endpoints, formats
from cas_saml.saml.certificates import CertificateRefused
from cas_saml.saml.certificates import load as load_certificate
from identity.models import Application, SSOSession, Tenant
from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id
from identity.models.reading import ReadSafely
from identity.texts import is_storable
from identity.validators import validate_texts

MAX_ENTITY_ID = 1024  # SAMLMeta-2.2.1
MAX_NAME_ID = 256  # SAMLCore-8.3.7
RELAY_STATE_BYTES = 80  # SAMLBind-3.4.3: of relay states that we make up ourselves


class SignatureAlgorithm(models.TextChoices):
    """How we sign for a provider: the tenant's key for SAML, and a digest."""

    RSA_SHA256 = "rsa-sha256", _("RSA with SHA-256")
    RSA_SHA384 = "rsa-sha384", _("RSA with SHA-384")
    RSA_SHA512 = "rsa-sha512", _("RSA with SHA-512")


class EncryptionAlgorithm(models.TextChoices):
    """How assertions are encrypted (XMLEnc-5.2)."""

    AES256_GCM = "aes256-gcm", _("AES-256, GCM")
    AES128_GCM = "aes128-gcm", _("AES-128, GCM")
    AES256_CBC = "aes256-cbc", _("AES-256, CBC (older applications)")
    AES128_CBC = "aes128-cbc", _("AES-128, CBC (older applications)")


class KeyTransport(models.TextChoices):
    """How the content key travels (XMLEnc-5.5.2): RSA-OAEP, named by the digest inside it."""

    OAEP_SHA1 = "rsa-oaep-mgf1p", _("RSA-OAEP, SHA-1 (what most applications know)")
    OAEP_SHA256 = "rsa-oaep-sha256", _("RSA-OAEP, SHA-256")


def all_formats() -> list[str]:
    """Return the default of `name_id_formats`."""
    return list(formats.NAMES)


def check_formats(listed: object) -> None:
    """Judge the formats that a provider may be given, the default first. Raises ValueError."""
    if not isinstance(listed, list) or not listed or len(set(map(str, listed))) != len(listed):
        raise ValueError(_now("It is not a list of different names."))
    if unknown := [name for name in listed if name not in formats.NAMES]:
        raise ValueError(_now("%(name)s is none of the four formats.") % {"name": unknown[0]})


class ServiceProvider(ReadSafely):
    """An application's registration as a SAML service provider: where it may be answered, and what it is told."""

    public_id = models.CharField(
        _("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id, editable=False
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False, related_name="+", editable=False)
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="saml_service_providers", verbose_name=_("application")
    )
    entity_id = models.CharField(
        _("entity ID"), max_length=MAX_ENTITY_ID, help_text=_("Compared character by character.")
    )
    # Shapes: see cas_saml/saml/endpoints.py.
    assertion_consumer_services = models.JSONField(
        _("assertion consumer services"),
        default=list,
        blank=True,
        help_text=_('Where assertions go, by POST: [{"index": 0, "location": "https://…", "is_default": true}].'),
    )
    single_logout_services = models.JSONField(
        _("single logout services"),
        default=list,
        blank=True,
        help_text=_('[{"binding": "redirect", "location": "https://…"}]; bindings are redirect, post and soap.'),
    )
    signing_certificates = models.JSONField(
        _("signing certificates"), default=list, blank=True, help_text=_("A list of PEM texts, any of which may sign.")
    )
    encryption_certificate = models.TextField(
        _("encryption certificate"), blank=True, default="", help_text=_("PEM. Its key opens encrypted assertions.")
    )
    metadata_valid_until = models.DateTimeField(_("metadata valid until"), null=True, blank=True, editable=False)
    requests_must_be_signed = models.BooleanField(
        _("requests must be signed"),
        default=False,
        help_text=_("A signature that is there is always checked. Logout requests are always signed."),
    )
    allow_rsa_sha1 = models.BooleanField(
        _("take RSA-SHA1 signatures"),
        default=False,
        help_text=_("SHA-1 is broken. Only for an application that can do nothing else, and not for long."),
    )
    sign_response = models.BooleanField(_("sign the response"), default=True)
    sign_assertion = models.BooleanField(_("sign the assertion"), default=True)
    signature_algorithm = models.CharField(
        _("signature"),
        max_length=16,
        choices=SignatureAlgorithm.choices,
        default=SignatureAlgorithm.RSA_SHA256,
    )
    encrypt_assertions = models.BooleanField(_("encrypt assertions"), default=False)
    encryption_algorithm = models.CharField(
        _("encryption"),
        max_length=16,
        choices=EncryptionAlgorithm.choices,
        default=EncryptionAlgorithm.AES256_GCM,
    )
    key_transport = models.CharField(
        _("key transport"), max_length=16, choices=KeyTransport.choices, default=KeyTransport.OAEP_SHA1
    )
    name_id_formats = models.JSONField(
        _("name identifiers"),
        default=all_formats,
        help_text=_("What it may be given, the default first: unspecified, persistent, transient, emailAddress."),
    )
    name_id_source = models.CharField(
        _("source of the unspecified name"),
        max_length=120,
        default="account_name",
        help_text=_("A source as for attributes."),
    )
    attributes = models.JSONField(
        _("released attributes"),
        default=dict,
        blank=True,
        help_text=_('Name on the wire to source, for example {"mail": "email", "memberOf": "roles"}.'),
    )
    allow_unsolicited = models.BooleanField(
        _("sign-in may start here"),
        default=True,
        help_text=_("Send an assertion that the application has not asked for, at idp/sso?sp=."),
    )
    default_relay_state = models.CharField(
        _("relay state of sign-ins that start here"),
        max_length=RELAY_STATE_BYTES,
        blank=True,
        default="",
        help_text=_("Where the application goes then, in its own words. At most 80 bytes."),
    )
    single_logout = models.BooleanField(
        _("tell of sign-outs"),
        default=True,
        help_text=_("Send a logout request to the application when the session ends."),
    )
    is_active = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    read_checks: ClassVar[dict[str, Any]] = {
        "assertion_consumer_services": endpoints.check_shape_of_consumers,
        "single_logout_services": endpoints.check_shape_of_logout_services,
        "signing_certificates": validate_texts,
        "name_id_formats": check_formats,
        "name_id_source": check_source,
        "attributes": partial(check_mapping, of_elements=False),
    }

    class Meta:
        verbose_name = _("SAML service provider")
        verbose_name_plural = _("SAML service providers")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "entity_id"], name="saml_entity_id_per_tenant"),
            models.CheckConstraint(
                condition=models.Q(sign_response=True) | models.Q(sign_assertion=True),
                name="saml_response_or_assertion_is_signed",
            ),
            models.CheckConstraint(
                condition=models.Q(encrypt_assertions=False) | ~models.Q(encryption_certificate=""),
                name="saml_encryption_has_a_certificate",
            ),
        ]

    @property
    def is_enabled(self) -> bool:
        """Whether it is answered at all: neither it nor its application is switched off."""
        return self.is_active and self.application.is_active

    def __str__(self) -> str:
        return f"SAML service provider {self.public_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the column that follows from another."""
        self.tenant_id = self.application.tenant_id
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Judge a registration. Raises ValidationError by field, with everything that is wrong."""
        errors: dict[str, Any] = {}
        for name, check in _CHECKS.items():
            try:
                check(self)
            except ValueError as error:
                errors[name] = str(error)
        if errors:
            raise ValidationError(errors)


def _check_entity_id(provider: ServiceProvider) -> None:
    entity_id = provider.entity_id
    # SAMLCore-8.3.6: a URI. Ours to refuse what nobody could compare by eye.
    if not entity_id.isascii() or not entity_id.isprintable() or " " in entity_id:
        raise ValueError(_now("Printable ASCII characters without spaces only."))
    if provider.application_id is None:
        return
    others = ServiceProvider.objects.filter(tenant_id=provider.application.tenant_id, entity_id=entity_id)
    if others.exclude(pk=provider.pk).exists():
        raise ValueError(_now("Another SAML service provider has it."))


def _check_consumers(provider: ServiceProvider) -> None:
    provider.assertion_consumer_services = endpoints.clean_consumers(provider.assertion_consumer_services)


def _check_logout_services(provider: ServiceProvider) -> None:
    is_internal = provider.application_id is not None and provider.application.is_internal
    provider.single_logout_services = endpoints.clean_logout_services(
        provider.single_logout_services, internal=is_internal
    )


def _check_signing_certificates(provider: ServiceProvider) -> None:
    listed = provider.signing_certificates
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise ValueError(_now("It is not a list of texts."))
    for text in listed:
        _check_certificate(text)
    if provider.requests_must_be_signed and not listed:
        raise ValueError(_now("Requests must be signed, and there is no certificate to check them with."))


def _check_encryption_certificate(provider: ServiceProvider) -> None:
    _check_text(provider.encryption_certificate)
    if provider.encryption_certificate:
        _check_certificate(provider.encryption_certificate, needs_rsa=True)
    elif provider.encrypt_assertions:
        raise ValueError(_now("Assertions are to be encrypted, and there is no certificate for it."))


def _check_certificate(text: str, *, needs_rsa: bool = False) -> None:
    try:
        certificate = load_certificate(text)
    except CertificateRefused as error:
        raise ValueError(_now("Not a certificate that can be used (%(reason)s).") % {"reason": error.reason}) from error
    if needs_rsa and not isinstance(certificate.public_key(), rsa.RSAPublicKey):
        raise ValueError(_now("Its key is not an RSA key."))


def _check_text(value: object) -> None:
    """Refuse null in a column that may be empty: Django checks no more of it, and a configuration file may say it."""
    if not isinstance(value, str) or not is_storable(value):
        raise ValueError(_now("It is not a text."))


def _check_signed(provider: ServiceProvider) -> None:
    if not provider.sign_response and not provider.sign_assertion:
        raise ValueError(_now("Sign the response, the assertion, or both."))


def _check_formats(provider: ServiceProvider) -> None:
    check_formats(provider.name_id_formats)


def _check_name_id_source(provider: ServiceProvider) -> None:
    check_source(provider.name_id_source)


def _check_attributes(provider: ServiceProvider) -> None:
    check_mapping(provider.attributes, of_elements=False)


def _check_relay_state(provider: ServiceProvider) -> None:
    _check_text(provider.default_relay_state)
    if len(provider.default_relay_state.encode()) > RELAY_STATE_BYTES:
        raise ValueError(_now("At most 80 bytes."))


_CHECKS: Mapping[str, Any] = {
    "entity_id": _check_entity_id,
    "assertion_consumer_services": _check_consumers,
    "single_logout_services": _check_logout_services,
    "signing_certificates": _check_signing_certificates,
    "encryption_certificate": _check_encryption_certificate,
    "sign_assertion": _check_signed,
    "name_id_formats": _check_formats,
    "name_id_source": _check_name_id_source,
    "attributes": _check_attributes,
    "default_relay_state": _check_relay_state,
}


class PersistentName(models.Model):
    """A person's lasting name at one service provider, which tells nothing and matches none elsewhere (pairwise).

    SAMLCore-8.3.7. It is chance and not a digest of something, so it outlives every change of keys.
    """

    service_provider = models.ForeignKey(
        ServiceProvider,
        on_delete=models.CASCADE,
        db_index=False,
        related_name="persistent_names",
        verbose_name=_("service provider"),
    )
    user = models.ForeignKey("identity.User", on_delete=models.CASCADE, related_name="+", verbose_name=_("user"))
    value = models.CharField(_("name identifier"), max_length=MAX_NAME_ID)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("SAML persistent name")
        verbose_name_plural = _("SAML persistent names")
        constraints = [
            models.UniqueConstraint(fields=["service_provider", "user"], name="saml_one_persistent_name"),
            models.UniqueConstraint(fields=["service_provider", "value"], name="saml_persistent_name_is_unique"),
        ]

    def __str__(self) -> str:
        return f"SAML persistent name {self.pk}"


class SAMLSession(models.Model):
    """What a service provider was told of one SSO session: by these words it speaks of it later (SAMLCore-3.7.1)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    service_provider = models.ForeignKey(
        ServiceProvider,
        on_delete=models.CASCADE,
        db_index=False,
        related_name="sessions",
        verbose_name=_("service provider"),
    )
    session = models.ForeignKey(
        SSOSession, on_delete=models.CASCADE, db_index=False, related_name="+", verbose_name=_("SSO session")
    )
    session_index = models.CharField(_("session index"), max_length=64, unique=True)
    name_id_format = models.CharField(_("format of the name"), max_length=16, choices=formats.CHOICES)
    name_id = models.CharField(_("name identifier"), max_length=MAX_NAME_ID)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    ended_at = models.DateTimeField(_("ended by the provider at"), null=True, blank=True)  # its own one, by its word

    class Meta:
        verbose_name = _("SAML session")
        verbose_name_plural = _("SAML sessions")
        constraints = [
            models.UniqueConstraint(
                fields=["session", "service_provider", "name_id_format", "name_id"], name="saml_session_told_once"
            )
        ]
        indexes = [models.Index(fields=["service_provider", "name_id"], name="saml_session_name")]

    def __str__(self) -> str:
        return f"SAML session {self.pk}"
