"""Clients, what they are granted, and what users consented to.

Six models are swapped for the toolkit's own (decision 5); a column of the toolkit that nothing here uses is set to
None. Secrets, codes and tokens are kept as keyed hashes only. Rows refuse nothing by themselves: the rules are in
`clients`, `grants`, `token` and `authorization`.
"""

from __future__ import annotations

import ipaddress
import secrets
import time
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractApplication,
    AbstractDeviceGrant,
    AbstractGrant,
    AbstractIDToken,
    AbstractRefreshToken,
)

from identity import clocks
from identity.crypto import new_handle
from identity.models.reading import ReadSafely
from identity.validators import validate_object, validate_objects_by_name, validate_texts
from oidc_provider import dialects
from oidc_provider.dialects.base import Dialect


class AuthMethod(models.TextChoices):
    """How a client proves itself (OIDCC-9). A client has one, and no other is taken from it."""

    # Ours: client_secret_basic or client_secret_post, as the client likes (RFC6749-2.3.1). One of them in a request.
    SECRET = "client_secret", _("Secret in the header or in the body")
    BASIC = "client_secret_basic", _("Secret in the header only")
    POST = "client_secret_post", _("Secret in the body only")
    PRIVATE_KEY_JWT = "private_key_jwt", _("Signed assertion")
    NONE = "none", _("None (public client)")


# The ways with a secret.
SECRET_METHODS = frozenset({AuthMethod.SECRET, AuthMethod.BASIC, AuthMethod.POST})


class GrantType(models.TextChoices):
    """RFC6749-4 and 6, in the standard's spelling."""

    AUTHORIZATION_CODE = "authorization_code", _("Authorization code")
    REFRESH_TOKEN = "refresh_token", _("Refresh token")
    CLIENT_CREDENTIALS = "client_credentials", _("Client credentials")
    IMPLICIT = "implicit", _("Implicit")


# What a client may register (OIDCC-3), words in alphabetical order (OAuthMultiple-3: their order says nothing).
RESPONSE_TYPES = frozenset({"code", "id_token", "id_token token"})


class SigningAlgorithm(models.TextChoices):
    """RFC7518-3.1, for id_tokens."""

    RS256 = "RS256", "RS256"
    RS512 = "RS512", "RS512"
    ES256 = "ES256", "ES256"


# The scopes every tenant has (decision 20). A tenant's own are rows of ApiScope.
STANDARD_SCOPES = ("openid", "profile", "email", "address", "phone", "roles", "organizations", "offline_access")

# What one client may have otherwise, by dialect: see `Dialect.flags`. A name that is not here is refused.
CLIENT_FLAGS: dict[str, frozenset[str]] = {dialect.name: dialect.flags for dialect in dialects.ALL}
# Those that ask for less safety. `check --deploy --database default` names the clients that have one.
LOWERING_FLAGS = frozenset({"short_verifiers", "implicit_without_nonce", "plain_http", "shared_nonces"})
# What an operator reads beside the switch.
FLAG_TEXTS = {
    "bare_phone_number": _("phone_number as it is dialled in the tenant's country, not in E.164"),
    "standard_at_hash": _("at_hash as OpenID Connect Core has it"),
    "errors_by_redirect": _("Refused authorization requests go back to the application"),
    "short_verifiers": _(
        "Takes PKCE verifiers below 43 characters. Risk: a short verifier may be guessed by who stole the code."
    ),
    "implicit_without_nonce": _(
        "Implicit flow without a nonce. Risk: an ID token that was stolen can be shown to the application again."
    ),
    "plain_http": _(
        "Addresses without TLS, for applications marked internal. Risk: whoever is on the network reads codes and "
        "tokens, and signs in as the user."
    ),
    "shared_nonces": _(
        "One X-signature nonce serves different calls of the SDK API. Risk: a signature that was stolen can be used "
        "for another call within five minutes."
    ),
}


def _check_dialect(name: object) -> None:
    if name not in CLIENT_FLAGS:
        raise ValidationError("There is no dialect of this name.")


def _check_networks(networks: list[str]) -> None:
    validate_texts(networks)
    for network in networks:
        ipaddress.ip_network(network)


def _default_scopes() -> list[str]:
    return ["openid", "profile", "email"]


def _default_grant_types() -> list[str]:
    return [GrantType.AUTHORIZATION_CODE.value]


def _default_response_types() -> list[str]:
    return ["code"]


def _new_client_id() -> str:
    return new_handle(16)


class ApiScope(models.Model):
    """A scope of a tenant's own API, granted to clients one by one (decision 20)."""

    tenant = models.ForeignKey(
        "identity.Tenant", on_delete=models.CASCADE, db_index=False, related_name="+", verbose_name=_("tenant")
    )
    name = models.CharField(_("name"), max_length=100)  # a scope-token of RFC6749-3.3
    description = models.CharField(_("description"), max_length=200, blank=True, default="")
    audience = models.CharField(_("audience"), max_length=255)  # `aud` of tokens that carry it

    class Meta:
        verbose_name = _("API scope")
        verbose_name_plural = _("API scopes")
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="api_scope_per_tenant")]

    def __str__(self) -> str:
        return self.name


class ClientManager(models.Manager["Client"]):
    """Clients by what the wire calls them."""

    def get_by_natural_key(self, client_id: str) -> Client:
        """Find a client by the toolkit's natural key."""
        return self.get(client_id=client_id)


class Client(ReadSafely, AbstractApplication):  # type: ignore[django-manager-missing]  # of the toolkit's models
    """An OAuth client: one registration of an application of the catalogue (RFC6749-2)."""

    # Columns of the toolkit with no meaning here.
    user = None
    client_type = None
    authorization_grant_type = None
    client_secret = None
    hash_client_secret = None
    skip_authorization = None
    algorithm = None
    allowed_origins = None
    registration_source = None
    cimd_expires_at = None

    client_id = models.CharField(_("client ID"), max_length=255, default=_new_client_id)
    tenant = models.ForeignKey(
        "identity.Tenant", on_delete=models.PROTECT, related_name="clients", verbose_name=_("tenant")
    )
    catalogue_entry = models.ForeignKey(
        "identity.Application", on_delete=models.CASCADE, related_name="clients", verbose_name=_("application")
    )
    dialect = models.CharField(_("dialect"), max_length=32, default="standard")
    is_active = models.BooleanField(_("enabled"), default=True)

    # Authentication (RFC6749-2.3)
    token_endpoint_auth_method = models.CharField(
        _("authentication"), max_length=32, choices=AuthMethod.choices, default=AuthMethod.SECRET
    )
    secret_hash = models.CharField(max_length=64, blank=True, default="", editable=False)  # hex keyed hash
    previous_secret_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    previous_secret_expires_at = models.DateTimeField(
        _("previous secret is taken until"), null=True, blank=True, editable=False
    )
    secret_changed_at = models.DateTimeField(_("secret changed at"), null=True, blank=True, editable=False)
    jwks = models.JSONField(_("keys (JWK Set)"), null=True, blank=True)  # RFC7517-5, public halves
    jwks_uri = models.CharField(_("address of the keys"), max_length=500, blank=True, default="")

    # What it may do
    grant_types = models.JSONField(_("grant types"), default=_default_grant_types)
    response_types = models.JSONField(_("response types"), default=_default_response_types)
    allow_implicit = models.BooleanField(
        _("allow the implicit flow"),
        default=False,
        help_text=_("Tokens travel through the browser's address. Only for clients that know nothing else."),
    )
    require_pkce = models.BooleanField(_("require PKCE"), default=True)  # public clients: always (RFC9700-2.1.1)
    scopes = models.JSONField(_("scopes"), default=_default_scopes, blank=True)  # of STANDARD_SCOPES
    api_scopes = models.ManyToManyField(ApiScope, blank=True, related_name="clients", verbose_name=_("API scopes"))
    api_requests_per_minute = models.PositiveIntegerField(
        _("API requests a minute"), null=True, blank=True, help_text=_("Of our own APIs. Empty: no limit.")
    )
    may_introspect = models.BooleanField(_("may introspect tokens"), default=False)
    may_use_sdk = models.BooleanField(
        _("may sign users in through the SDK API"),
        default=False,
        help_text=_("Users type their password into the application itself. Only for apps of your own."),
    )
    flags = models.JSONField(_("flags"), default=dict, blank=True)  # names of CLIENT_FLAGS[dialect] to values

    # Addresses: lists of exact strings (S1)
    redirect_uris = models.JSONField(_("redirect addresses"), default=list, blank=True)
    post_logout_redirect_uris = models.JSONField(_("addresses after sign-out"), default=list, blank=True)
    web_origins = models.JSONField(_("web origins"), default=list, blank=True)  # scheme://host[:port], for CORS
    is_native = models.BooleanField(
        _("native application"), default=False, help_text=_("May use loopback and private-use addresses (RFC8252).")
    )
    initiate_login_uri = models.CharField(_("address that starts a sign-in"), max_length=500, blank=True, default="")
    backchannel_logout_uri = models.CharField(_("back-channel logout address"), max_length=500, blank=True, default="")
    backchannel_logout_session_required = models.BooleanField(_("back-channel logout needs sid"), default=False)
    frontchannel_logout_uri = models.CharField(
        _("front-channel logout address"), max_length=500, blank=True, default=""
    )
    frontchannel_logout_session_required = models.BooleanField(_("front-channel logout needs sid"), default=False)

    # ID tokens and claims
    id_token_signed_response_alg = models.CharField(
        _("ID token signature"), max_length=8, choices=SigningAlgorithm.choices, default=SigningAlgorithm.RS256
    )
    claims_mapping = models.JSONField(_("claims"), default=dict, blank=True)  # see clients/claims.py
    default_max_age = models.PositiveIntegerField(_("oldest sign-in, in seconds"), null=True, blank=True)

    # Lifetimes in seconds; empty is the dialect's default, `conf` has the ceilings.
    authorization_code_lifetime_seconds = models.PositiveIntegerField(_("code lifetime"), null=True, blank=True)
    access_token_lifetime_seconds = models.PositiveIntegerField(_("access token lifetime"), null=True, blank=True)
    id_token_lifetime_seconds = models.PositiveIntegerField(_("ID token lifetime"), null=True, blank=True)
    refresh_token_lifetime_seconds = models.PositiveIntegerField(_("refresh token lifetime"), null=True, blank=True)
    # Empty is the default of `conf`; 0 is none.
    refresh_token_grace_seconds = models.PositiveSmallIntegerField(
        _("grace of a used refresh token"),
        null=True,
        blank=True,
        help_text=_(
            "Seconds for which a refresh token that was used may be used once more, by a second tab or after an answer "
            "that was lost. From 0 to 60; empty: 10. After them its use ends the whole grant."
        ),
    )

    objects = ClientManager()

    # What may be done is never more than was written. The rules for writing are in `registration`.
    read_as: ClassVar[dict[str, Any]] = {"grant_types": list, "response_types": list, "scopes": list}
    read_checks: ClassVar[dict[str, Any]] = {
        "dialect": _check_dialect,
        "jwks": validate_object,
        "grant_types": validate_texts,
        "response_types": validate_texts,
        "scopes": validate_texts,
        "api_requests_per_minute": MinValueValidator(1),
        "flags": validate_object,
        "redirect_uris": validate_texts,
        "post_logout_redirect_uris": validate_texts,
        "web_origins": validate_texts,
        "claims_mapping": validate_objects_by_name,
        "authorization_code_lifetime_seconds": MinValueValidator(1),
        "access_token_lifetime_seconds": MinValueValidator(1),
        "id_token_lifetime_seconds": MinValueValidator(1),
        "refresh_token_lifetime_seconds": MinValueValidator(1),
    }

    class Meta:
        verbose_name = _("client")
        verbose_name_plural = _("clients")
        # As constraints, for a unique column gets a second index for LIKE on PostgreSQL.
        constraints = [models.UniqueConstraint(fields=["client_id"], name="client_client_id")]

    def __str__(self) -> str:
        return self.client_id

    def natural_key(self) -> tuple[str]:
        """Return what the toolkit's manager looks up."""
        return (self.client_id,)

    def clean(self) -> None:
        """Nothing here: the toolkit's rules are about its own columns; ours are in `registration`."""

    @property
    def is_enabled(self) -> bool:
        """Whether the client and its application are enabled."""
        return bool(self.is_active and self.catalogue_entry.is_active)

    @property
    def serves_sdk(self) -> bool:
        """Whether it is enabled, and may sign users in through the SDK API."""
        return self.is_enabled and self.may_use_sdk

    def belongs_to(self, dialect: Dialect, *, app_code: str) -> bool:
        """Whether it is of this dialect and, where applications have an issuer each, of this application's."""
        if self.dialect != dialect.name:
            return False
        return not dialect.is_per_application or bool(self.catalogue_entry.code == app_code)

    @property
    def is_public(self) -> bool:
        """Whether it cannot keep a secret (RFC6749-2.1)."""
        return self.token_endpoint_auth_method == AuthMethod.NONE

    def has_flag(self, name: str) -> bool:
        """Whether this flag of CLIENT_FLAGS is set."""
        return isinstance(self.flags, dict) and bool(self.flags.get(name, False))

    @property
    def may_use_plain_http(self) -> bool:
        """Whether its addresses may do without TLS: an intranet's, and somebody decided it (decision 55)."""
        return self.has_flag("plain_http") and bool(self.catalogue_entry.is_internal)

    @property
    def needs_pkce(self) -> bool:
        """RFC9700-2.1.1: a public client always."""
        return self.is_public or self.require_pkce

    @cached_property
    def audiences(self) -> dict[str, str]:
        """Its API scopes: name to audience. Worked out once for a copy of the row (see clients/cached.py)."""
        return {scope.name: scope.audience for scope in self.api_scopes.all()}

    @cached_property
    def allowed_scopes(self) -> frozenset[str]:
        """Everything it may be granted (S12)."""
        return frozenset(self.scopes) | frozenset(self.audiences)

    @property
    def display_name(self) -> str:
        """What users call it."""
        name: str = self.catalogue_entry.name
        return name

    def allows_grant_type(self, *grant_types: str) -> bool:
        """Whether one of these may be used."""
        return any(grant_type in self.grant_types for grant_type in grant_types)

    def get_allowed_schemes(self) -> list[str]:
        """Tell the toolkit. Redirect addresses are compared as strings, so their schemes were judged before."""
        return ["https", "http"]


def new_family() -> UUID:
    """Name a grant (RFC9562-5.7, version 7): 48 bits of milliseconds, so that new rows lie together, and 74 random."""
    drawn = secrets.randbits(74)
    high, low = drawn >> 62, drawn & (2**62 - 1)
    return UUID(int=time.time_ns() // 1_000_000 << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low)


class _BoundToSession(models.Model):
    """What a grant keeps of the sign-in behind it."""

    # A session's row may be purged before an offline grant ends, so the grant survives it.
    session = models.ForeignKey(
        "identity.SSOSession", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    dialect = models.CharField(max_length=32, default="standard")
    # Everything that came of one authorization; a replay revokes it as a whole.
    family = models.UUIDField(default=new_family, editable=False)
    # OIDCC-5.5: what the claims parameter asked for; members userinfo and id_token.
    claims = models.JSONField(default=dict, blank=True)
    created = models.DateTimeField(default=timezone.now, editable=False)  # when the request came in that made it
    # Of its user when the authorization was given, through all of the family (S48).
    epoch = models.IntegerField(default=0, db_default=0, editable=False)

    class Meta:
        abstract = True

    @property
    def client(self) -> Client:
        """The toolkit's column `application` under our name (decision 5)."""
        client: Client = self.application  # type: ignore[attr-defined]
        return client

    @property
    def scopes(self) -> tuple[str, ...]:
        """The granted scopes, in order."""
        return tuple(self.scope.split())  # type: ignore[attr-defined]

    def was_given_to(self, client: Client, *, dialect: str) -> bool:
        """Whether it was given to this client, in this dialect."""
        return bool(self.application_id == client.pk and self.dialect == dialect)  # type: ignore[attr-defined]

    def is_over(self, now: datetime) -> bool:
        """Whether its time is over."""
        return clocks.is_over(self.expires, made_at=self.created, now=now)  # type: ignore[attr-defined]


class AuthorizationCode(_BoundToSession, AbstractGrant):
    """An authorization code (RFC6749-1.3.1). Consumed once, kept for a while to recognise a replay."""

    code = None
    updated = None
    resource = None

    code_hash = models.CharField(max_length=64, editable=False)  # hex keyed hash
    user = models.ForeignKey("identity.User", on_delete=models.CASCADE, related_name="+", db_index=False)
    application = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    nonce = models.TextField(blank=True, default="")
    code_challenge_method = models.CharField(max_length=16, blank=True, default="")
    # RFC6749-4.1.3: it must come back at the token endpoint exactly when it was given here.
    redirect_uri_given = models.BooleanField(default=True)
    auth_time = models.DateTimeField()
    acr = models.CharField(max_length=100, blank=True, default="")
    amr = models.JSONField(default=list, blank=True)
    is_offline = models.BooleanField(default=False)
    consumed_at = models.DateTimeField(null=True, blank=True)  # set once, by a conditional update

    class Meta:
        verbose_name = _("authorization code")
        verbose_name_plural = _("authorization codes")
        constraints = [models.UniqueConstraint(fields=["code_hash"], name="authorization_code_hash")]
        indexes = [
            models.Index(fields=["expires"], name="authorization_code_expires"),
            models.Index(fields=["family"], name="authorization_code_family"),
            models.Index(fields=["user", "application"], name="authorization_code_user_client"),
        ]

    def __str__(self) -> str:
        return f"authorization code {self.pk}"


class AccessToken(_BoundToSession, AbstractAccessToken):
    """An access token (RFC6749-1.4). A revoked one is deleted; the audit knows of it."""

    token = None
    id_token = None
    source_refresh_token = None
    updated = None
    resource = None

    token_checksum = models.CharField(max_length=64, editable=False)  # hex keyed hash
    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    application = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    audience = models.JSONField(default=list, blank=True)  # of its API scopes
    is_offline = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        constraints = [models.UniqueConstraint(fields=["token_checksum"], name="access_token_checksum")]
        indexes = [
            models.Index(fields=["expires"], name="access_token_expires"),
            models.Index(fields=["family"], name="access_token_family"),
            models.Index(fields=["user", "application"], name="access_token_user_client"),
        ]

    def __str__(self) -> str:
        return f"access token {self.pk}"


class RefreshToken(_BoundToSession, AbstractRefreshToken):
    """A refresh token (RFC6749-1.5). Rotated: the one that was used is superseded, and coming back late revokes all.

    S14: superseded (it was exchanged for the next one) and revoked (somebody ended it) are two things: only what was
    superseded has a grace.
    """

    token = None
    access_token = None
    token_family = None
    updated = None
    resource = None

    token_checksum = models.CharField(max_length=64, editable=False)  # hex keyed hash
    user = models.ForeignKey("identity.User", on_delete=models.CASCADE, related_name="+", db_index=False)
    application = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    scope = models.TextField(blank=True, default="")
    expires = models.DateTimeField()  # absolute: rotation does not move it
    auth_time = models.DateTimeField()
    acr = models.CharField(max_length=100, blank=True, default="")
    amr = models.JSONField(default=list, blank=True)
    is_offline = models.BooleanField(default=False)  # offline_access was granted, or the dialect is always so
    superseded_at = models.DateTimeField(null=True, blank=True)  # the first time; its grace counts from here
    revoked = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("refresh token")
        verbose_name_plural = _("refresh tokens")
        constraints = [models.UniqueConstraint(fields=["token_checksum"], name="refresh_token_checksum")]
        indexes = [
            models.Index(fields=["expires"], name="refresh_token_expires"),
            models.Index(fields=["family"], name="refresh_token_family"),
            models.Index(fields=["user", "application"], name="refresh_token_user_client"),
        ]

    def __str__(self) -> str:
        return f"refresh token {self.pk}"


class IDToken(AbstractIDToken):
    """Swapped so that the toolkit's tables are all ours. ID tokens are signed, not stored: no row is written."""

    class Meta:
        verbose_name = _("ID token")
        verbose_name_plural = _("ID tokens")


class DeviceGrant(AbstractDeviceGrant):
    """Swapped so that the toolkit's tables are all ours. The device flow is not offered yet (decision 20)."""

    class Meta(AbstractDeviceGrant.Meta):
        verbose_name = _("device grant")
        verbose_name_plural = _("device grants")


class Consent(models.Model):
    """What a user let a client have (OIDCC-3.1.2.4). Withdrawing keeps the row."""

    user = models.ForeignKey(
        "identity.User", on_delete=models.CASCADE, db_index=False, related_name="+", verbose_name=_("user")
    )
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", verbose_name=_("client"))
    scopes = models.JSONField(_("scopes"), default=list)
    # Names of single claims that the claims parameter asked for and the user allowed.
    claims = models.JSONField(_("claims"), default=list, blank=True)
    granted_at = models.DateTimeField(_("granted at"))
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True)

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        constraints = [models.UniqueConstraint(fields=["user", "client"], name="one_consent_per_client")]

    def __str__(self) -> str:
        return f"consent {self.pk}"


class HostApplication(ReadSafely):
    """A mobile app that shows mini programs, registered by its own client (Pactera guide, chapter 2)."""

    tenant = models.ForeignKey("identity.Tenant", on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))
    client = models.OneToOneField(
        Client, on_delete=models.CASCADE, related_name="host_application", verbose_name=_("client of the app")
    )
    is_active = models.BooleanField(_("enabled"), default=True)
    # CIDR, in canonical spelling. What proves itself by a user's session_token is a phone and comes from anywhere.
    networks = models.JSONField(
        _("networks"),
        default=list,
        blank=True,
        help_text=_("Where the app's back end may call from, for example 192.0.2.0/24. Empty: from anywhere."),
    )
    mini_programs = models.ManyToManyField(
        Client, blank=True, related_name="host_applications", verbose_name=_("mini programs")
    )

    # Nobody's network: none at all would be everybody's.
    read_as: ClassVar[dict[str, Any]] = {"networks": lambda: ["0.0.0.0/32"]}
    read_checks: ClassVar[dict[str, Any]] = {"networks": _check_networks}

    class Meta:
        verbose_name = _("host application")
        verbose_name_plural = _("host applications")

    def __str__(self) -> str:
        return self.client.client_id


class ClientAssertion(models.Model):
    """A client assertion that was used; it is refused until it has expired by itself (S11)."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    jti_hash = models.CharField(max_length=64)  # hex keyed hash: a jti may have any length
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = _("client assertion")
        verbose_name_plural = _("client assertions")
        constraints = [models.UniqueConstraint(fields=["client", "jti_hash"], name="client_assertion_once")]
        indexes = [models.Index(fields=["expires_at"], name="client_assertion_expires")]

    def __str__(self) -> str:
        return f"client assertion {self.pk}"


def members_of(claims: dict[str, Any], member: str) -> dict[str, Any]:
    """One member of a stored claims parameter: `id_token` or `userinfo`."""
    requested: dict[str, Any] = claims.get(member) or {}
    return requested


class PublishedKeys(models.Model):
    """What a client publishes at its `jwks_uri`, as it was fetched last."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="published_keys")
    url = models.CharField(max_length=500)  # where it was fetched; another one than the client's counts for nothing
    jwks = models.JSONField(null=True, blank=True)  # RFC7517-5
    fetched_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)  # the last time that anybody tried
    failures = models.PositiveSmallIntegerField(default=0)  # in a row
    next_fetch_at = models.DateTimeField()  # by the worker

    class Meta:
        verbose_name = _("published keys of a client")
        verbose_name_plural = _("published keys of clients")
        indexes = [models.Index(fields=["next_fetch_at"], name="published_keys_next_fetch")]

    def __str__(self) -> str:
        return f"published keys {self.pk}"
