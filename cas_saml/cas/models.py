"""Services that may ask who signed in, and the tickets that answer them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from cas_saml import addresses
from cas_saml.addresses import AddressInvalid, ServiceAddress
from cas_saml.attributes import check_mapping
from cas_saml.conf import conf
from identity import outbound
from identity.conf import conf as identity_conf
from identity.models import Application, SSOSession, Tenant
from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id
from identity.models.reading import ReadSafely


class ServiceMatch(models.TextChoices):
    """Which addresses are this service."""

    EXACT = "exact", _("This address only")
    PREFIX = "prefix", _("This path and everything below it")


class CASService(ReadSafely):
    """An application's registration as a CAS service: addresses that may receive tickets, and what is told of users."""

    public_id = models.CharField(
        _("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id, editable=False
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False, related_name="+", editable=False)
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="cas_services", verbose_name=_("application")
    )
    url = models.CharField(_("service address"), max_length=1000)
    match = models.CharField(_("comparison"), max_length=8, choices=ServiceMatch.choices, default=ServiceMatch.EXACT)
    origin = models.CharField(max_length=300, editable=False)  # scheme://host[:port] of url, lower case
    ticket_lifetime_seconds = models.PositiveSmallIntegerField(
        _("ticket lifetime in seconds"),
        null=True,
        blank=True,
        help_text=_("Empty: 10 seconds. At most 300, for applications that ask late."),
    )
    attributes = models.JSONField(
        _("released attributes"),
        default=dict,
        blank=True,
        help_text=_('Name on the wire to source, for example {"mail": "email", "memberOf": "roles"}.'),
    )
    single_logout = models.BooleanField(
        _("tell of sign-outs"),
        default=True,
        help_text=_("Post a logout request to the application when the session ends."),
    )
    logout_url = models.CharField(
        _("address for logout requests"),
        max_length=1000,
        blank=True,
        default="",
        help_text=_("Empty: the address that received the ticket."),
    )
    allows_plain_http = models.BooleanField(
        _("allow addresses without TLS"),
        default=False,
        db_default=False,  # for processes of the release before, which do not know it
        help_text=_(
            "For applications marked internal. Risk: whoever is on the network reads tickets, and signs in as the user."
        ),
    )
    is_active = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    read_as: ClassVar[dict[str, Any]] = {"match": ServiceMatch.EXACT}
    read_checks: ClassVar[dict[str, Any]] = {
        "attributes": check_mapping,
        "ticket_lifetime_seconds": MinValueValidator(1),
    }

    class Meta:
        verbose_name = _("CAS service")
        verbose_name_plural = _("CAS services")
        constraints = [models.UniqueConstraint(fields=["tenant", "url"], name="cas_service_url_per_tenant")]
        indexes = [models.Index(fields=["tenant", "origin"], name="cas_service_origin")]

    def __str__(self) -> str:
        return f"CAS service {self.public_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the columns that follow from others."""
        self.tenant_id = self.application.tenant_id
        self.origin = addresses.read(self.url).origin
        super().save(*args, **kwargs)

    @property
    def ticket_lifetime(self) -> timedelta:
        """The service's value, else the default, under the ceiling."""
        seconds = self.ticket_lifetime_seconds
        wanted = conf.service_ticket_lifetime if seconds is None else timedelta(seconds=seconds)
        return min(wanted, conf.max_service_ticket_lifetime)

    def owns(self, address: ServiceAddress) -> bool:
        """Tell whether the address is this service."""
        if not self._is_safe_enough(address):
            return False  # It was registered when plain http was allowed.
        if self.match == ServiceMatch.EXACT:
            return address.text == self.url
        try:
            return address.is_below(addresses.read(self.url))
        except AddressInvalid:  # written past `clean`: nothing lies below it
            return False

    def _is_safe_enough(self, address: ServiceAddress) -> bool:
        """Decision 12: https, and http on this machine while developing. Decision 55: http inside a company."""
        if address.scheme == "https" or (identity_conf.debug and addresses.is_loopback(address)):
            return True
        return self.allows_plain_http and self.application.is_internal

    def clean(self) -> None:
        """Judge a registration. Raises ValidationError by field, with everything that is wrong."""
        errors: dict[str, Any] = {}
        if self.application_id is not None:
            self._check_addresses(errors)
        ceiling = int(conf.max_service_ticket_lifetime.total_seconds())
        if self.ticket_lifetime_seconds is not None and not 1 <= self.ticket_lifetime_seconds <= ceiling:
            errors["ticket_lifetime_seconds"] = _now("From 1 to %(most)d seconds.") % {"most": ceiling}
        try:
            check_mapping(self.attributes)
        except ValueError as error:
            errors["attributes"] = str(error)
        if errors:
            raise ValidationError(errors)

    def _check_addresses(self, errors: dict[str, Any]) -> None:
        try:
            address = addresses.read(self.url)
        except AddressInvalid as error:
            errors["url"] = str(error)
        else:
            if refusal := self._refusal(address):
                errors["url"] = refusal
        if self.allows_plain_http and not self.application.is_internal:
            errors["allows_plain_http"] = _now("Only for applications marked internal.")
        if self.logout_url:
            try:
                outbound.check_url(self.logout_url, internal=self.application.is_internal)
            except outbound.AddressRefused as error:
                errors["logout_url"] = str(error)

    def _refusal(self, address: ServiceAddress) -> str:
        if not self._is_safe_enough(address):
            return _now("It is not https.")
        if address.text != self.url:
            return _now("It holds the session or the ticket of a visit.")
        if self.match == ServiceMatch.PREFIX and address.has_query:
            return _now("A path that owns everything below it has no query.")
        others = CASService.objects.filter(tenant_id=self.application.tenant_id, url=self.url).exclude(pk=self.pk)
        if others.exists():
            return _now("Another CAS service has it.")
        return ""


class ServiceTicket(models.Model):
    """A proof, good for one question, that somebody signed in to one service (CAS-3.1).

    Only its keyed hash is kept. Once the service has taken it, it opens nothing any more and becomes the name of the
    service's own session, by which that is ended later (CAS-2.3.3): then it is kept too, sealed.
    """

    ticket_hash = models.CharField(max_length=64, unique=True, editable=False)  # hex keyed hash
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    service = models.ForeignKey(
        CASService, on_delete=models.CASCADE, related_name="tickets", verbose_name=_("CAS service")
    )
    session = models.ForeignKey(SSOSession, on_delete=models.CASCADE, related_name="+", verbose_name=_("SSO session"))
    service_url = models.CharField(_("issued for"), max_length=addresses.MAX_LENGTH)  # the exact string
    is_from_new_login = models.BooleanField(_("from a new sign-in"), default=False)  # CAS-2.5.1, renew
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"))
    consumed_at = models.DateTimeField(_("used at"), null=True, blank=True)  # set once, by a conditional update
    session_index_sealed = models.TextField(blank=True, default="", editable=False)  # the ticket, after a good answer
    epoch = models.IntegerField(default=0, db_default=0, editable=False)  # of its user, when it was made (S48)

    class Meta:
        verbose_name = _("service ticket")
        verbose_name_plural = _("service tickets")
        indexes = [
            models.Index(fields=["expires_at"], name="service_ticket_expires"),
        ]

    def __str__(self) -> str:
        return f"service ticket {self.pk}"
