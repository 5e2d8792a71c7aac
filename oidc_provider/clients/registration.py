"""Register clients, change them, give them secrets. The admin and `apply_config` both come here.

Everything that a row must keep to is checked in one place, `check`, which raises Django's ValidationError by field,
so that forms show it where it belongs. A secret is told once, by the function that made or took it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from identity import audit, crypto, outbound
from identity.conf import conf as identity_conf
from identity.context import SYSTEM, RequestContext
from identity.events import EventType
from identity.keyring import keys
from identity.models import Application, KeyUse
from oidc_provider import dialects
from oidc_provider.clients import claims, jwk_sets, redirects
from oidc_provider.clients.authentication import SECRET_PURPOSE, hash_secret
from oidc_provider.clients.redirects import AddressInvalid
from oidc_provider.conf import conf
from oidc_provider.dialects.base import Dialect
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.models import (
    CLIENT_FLAGS,
    RESPONSE_TYPES,
    SECRET_METHODS,
    STANDARD_SCOPES,
    ApiScope,
    AuthMethod,
    Client,
    GrantType,
    SigningAlgorithm,
)

MIN_SECRET_LENGTH = 22  # characters, decision 9: 128 bits in base64url
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~:/@-]{1,255}")
MAX_REQUESTS_PER_MINUTE = 1_000_000
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")  # RFC3986-2.3
_DIALECTS = {dialect.name: dialect for dialect in dialects.ALL}
# What a caller may set; everything else of a row is made here.
FIELDS = (
    "name",
    "is_active",
    "dialect",
    "token_endpoint_auth_method",
    "jwks",
    "jwks_uri",
    "grant_types",
    "response_types",
    "allow_implicit",
    "require_pkce",
    "scopes",
    "api_requests_per_minute",
    "may_introspect",
    "may_use_sdk",
    "flags",
    "redirect_uris",
    "post_logout_redirect_uris",
    "web_origins",
    "is_native",
    "initiate_login_uri",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
    "id_token_signed_response_alg",
    "claims_mapping",
    "default_max_age",
    "authorization_code_lifetime_seconds",
    "access_token_lifetime_seconds",
    "id_token_lifetime_seconds",
    "refresh_token_lifetime_seconds",
    "refresh_token_grace_seconds",
)


def register_client(
    *,
    catalogue_entry: Application,
    context: RequestContext = SYSTEM,
    actor: object = None,
    client_id: str | None = None,
    client_secret: str | None = None,
    api_scopes: Iterable[ApiScope] = (),
    **values: Any,
) -> tuple[Client, str]:
    """Register a client; return it with its secret, "" for one that has none. The secret is told this once.

    client_secret: the client's own, for a move from elsewhere; one is made if there is none.
    values: of FIELDS; what is not said is what the documents of the client's dialect expect, and the tenant's way to
    sign. Raises ValidationError by field.
    """
    client = Client(
        tenant_id=catalogue_entry.tenant_id,
        catalogue_entry=catalogue_entry,
        **{**defaults_of(values.get("dialect")), **_known(values)},
    )
    usual = catalogue_entry.tenant.id_token_signed_response_alg
    if "id_token_signed_response_alg" not in values and usual in _spoken(client).signing_algorithms:
        client.id_token_signed_response_alg = usual
    if client_id is not None:
        client.client_id = client_id
    secret = ""
    if client.token_endpoint_auth_method in SECRET_METHODS:
        secret = client_secret if client_secret is not None else crypto.new_handle()
        _set_secret(client, secret)
    elif client_secret is not None:
        raise ValidationError({"client_secret": _("This way of authentication takes no secret.")})
    granted = list(api_scopes)
    check(client, api_scopes=granted)
    with transaction.atomic():
        client.save(force_insert=True)
        client.api_scopes.set(granted)
        _ensure_keys(client, context=context)
        made = {name: [None, value] for name, value in _snapshot(client, granted).items()}
        _record(EventType.CLIENT_CREATE, client, context=context, actor=actor, changes=made)
    return client, secret


def update_client(
    client: Client,
    *,
    context: RequestContext = SYSTEM,
    actor: object = None,
    client_secret: str | None = None,
    api_scopes: Iterable[ApiScope] | None = None,
    **values: Any,
) -> dict[str, tuple[Any, Any]]:
    """Change a client; return what changed, field to (before, after). Nothing is written if nothing changed.

    client_secret: set this one, unless it is the client's already. Raises ValidationError by field.
    """
    before_scopes = list(client.api_scopes.all())
    before = _snapshot(client, before_scopes)
    for name, value in _known(values).items():
        setattr(client, name, value)
    has_new_secret = client_secret is not None and not _is_secret(client, client_secret)
    if has_new_secret and client_secret is not None:
        _set_secret(client, client_secret)
    after_scopes = before_scopes if api_scopes is None else list(api_scopes)
    check(client, api_scopes=after_scopes)
    after = _snapshot(client, after_scopes)
    changes = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
    if has_new_secret:
        changes["client_secret"] = ("…", "…")
    if changes:
        with transaction.atomic():
            client.save()
            client.api_scopes.set(after_scopes)
            _ensure_keys(client, context=context)
            _record(EventType.CLIENT_UPDATE, client, context=context, actor=actor, changes=changes)
    return changes


def rotate_secret(
    client: Client, *, context: RequestContext = SYSTEM, actor: object = None, keep_previous: bool = False
) -> str:
    """Give a client a new secret and return it, this once.

    keep_previous: go on taking the old one for a while, so that the change needs no moment of silence.
    """
    if client.token_endpoint_auth_method not in SECRET_METHODS:
        raise ValidationError({"client_secret": _("This way of authentication takes no secret.")})
    secret = crypto.new_handle()
    previous = client.secret_hash
    _set_secret(client, secret)
    if keep_previous and previous:
        client.previous_secret_hash = previous
        client.previous_secret_expires_at = timezone.now() + conf.previous_secret_lifetime
    with transaction.atomic():
        client.save()
        details = {"keeps_previous": client.previous_secret_expires_at}
        _record(EventType.CLIENT_SECRET, client, context=context, actor=actor, changes=details)
    return secret


# Rules -----------------------------------------------------------------------------------------------------


def check(client: Client, *, api_scopes: Iterable[ApiScope] = ()) -> None:
    """Judge a client that is to be kept. Raises ValidationError by field, with everything that is wrong."""
    errors: dict[str, list[str]] = {}

    def wrong(field: str, text: str) -> None:
        errors.setdefault(field, []).append(text)

    _check_identity(client, wrong)
    _check_authentication(client, wrong)
    _check_grants(client, wrong)
    _check_scopes(client, list(api_scopes), wrong)
    _check_addresses(client, wrong)
    _check_lifetimes(client, wrong)
    _check_rate(client, wrong)
    try:
        claims.check_mapping(client.claims_mapping)
    except ValueError as error:
        wrong("claims_mapping", str(error))
    if errors:
        raise ValidationError({field: list(texts) for field, texts in errors.items()})


def _check_identity(client: Client, wrong: Any) -> None:
    if not _CLIENT_ID.fullmatch(client.client_id or ""):
        wrong("client_id", _("It may hold letters, digits and . _ ~ : / @ - only."))
    elif Client.objects.filter(client_id=client.client_id).exclude(pk=client.pk).exists():
        wrong("client_id", _("Another client has it."))
    if client.catalogue_entry.tenant_id != client.tenant_id:
        wrong("catalogue_entry", _("The application belongs to another tenant."))  # S36
    if client.dialect not in {dialect.name for dialect in dialects.ALL}:
        wrong("dialect", _("There is no such dialect."))
    if _spoken(client).is_per_application and client.is_public and _public_clients(client).exists():
        # Decision 6: the path names the application, and by that one client.
        wrong("dialect", _("The application has another public client of this dialect."))
    known = CLIENT_FLAGS.get(client.dialect, frozenset())
    flags = client.flags if isinstance(client.flags, dict) else {"?": True}
    for name in sorted(flags.keys() - known):
        wrong("flags", _("Unknown flag: %(name)s.") % {"name": name})
    for name in sorted(name for name, value in flags.items() if name in known and not isinstance(value, bool)):
        wrong("flags", _("%(name)s is true or false.") % {"name": name})
    if flags.get("plain_http") and not client.catalogue_entry.is_internal:
        wrong("flags", _("plain_http is for applications marked internal."))


def _check_authentication(client: Client, wrong: Any) -> None:
    method = client.token_endpoint_auth_method
    if method not in AuthMethod.values:
        wrong("token_endpoint_auth_method", _("There is no such way of authentication."))
    has_keys = bool(client.jwks) or bool(client.jwks_uri)
    if method == AuthMethod.PRIVATE_KEY_JWT and not has_keys:
        wrong("jwks", _("Signed assertions need keys: a JWK Set, or the address of one."))
    if client.jwks and client.jwks_uri:
        wrong("jwks_uri", _("Either a JWK Set or the address of one, not both."))  # RFC7591-2
    if client.jwks:
        try:
            if not jwk_sets.parse(client.jwks):
                wrong("jwks", _("It holds no key that signatures can be verified with."))
        except ValueError as error:
            wrong("jwks", str(error))
    _check_called(client, "jwks_uri", wrong)


def _check_grants(client: Client, wrong: Any) -> None:
    grant_types = client.grant_types if _is_list_of_text(client.grant_types) else []
    response_types = client.response_types if _is_list_of_text(client.response_types) else []
    if not grant_types or set(grant_types) - set(GrantType.values):
        wrong("grant_types", _("Choose one or more of: %(names)s.") % {"names": ", ".join(GrantType.values)})
    canonical = {" ".join(sorted(words.split())) for words in response_types}
    if canonical - RESPONSE_TYPES:
        wrong("response_types", _("Supported are: %(names)s.") % {"names": ", ".join(sorted(RESPONSE_TYPES))})
    elif canonical - set(_spoken(client).response_types):
        names = ", ".join(_spoken(client).response_types)
        wrong("response_types", _("The dialect knows only: %(names)s.") % {"names": names})
    if (canonical - {"code"} or GrantType.IMPLICIT in grant_types) and not client.allow_implicit:
        # RFC9700-2.1.2: only where somebody decided it.
        wrong("response_types", _("The implicit flow must be allowed for this client first."))
    if GrantType.AUTHORIZATION_CODE in grant_types and "code" not in canonical:
        wrong("response_types", _("The authorization code grant needs the response type code."))
    if client.is_public and GrantType.CLIENT_CREDENTIALS in grant_types:
        wrong("grant_types", _("A public client has no credentials of its own."))  # RFC6749-4.4
    if client.is_public and client.may_introspect:
        wrong("may_introspect", _("A public client proves nothing, so it may not introspect."))
    needs_address = bool(canonical) and {GrantType.AUTHORIZATION_CODE, GrantType.IMPLICIT} & set(grant_types)
    if needs_address and not client.redirect_uris:
        wrong("redirect_uris", _("This flow needs a redirect address."))


def _check_scopes(client: Client, api_scopes: list[ApiScope], wrong: Any) -> None:
    if not _is_list_of_text(client.scopes) or set(client.scopes) - set(STANDARD_SCOPES):
        wrong("scopes", _("Choose of: %(names)s.") % {"names": ", ".join(STANDARD_SCOPES)})
    for scope in api_scopes:
        if scope.tenant_id != client.tenant_id:
            wrong("api_scopes", _("The scope belongs to another tenant."))  # S36


def _check_addresses(client: Client, wrong: Any) -> None:
    for field in ("redirect_uris", "post_logout_redirect_uris"):
        for address in _texts(client, field, wrong):
            try:
                redirects.check_registrable(
                    address,
                    is_native=client.is_native,
                    debug=identity_conf.debug,
                    allows_plain_http=client.may_use_plain_http,
                )
            except AddressInvalid as error:
                wrong(field, f"{address[:200]}: {error}")
    for origin in _texts(client, "web_origins", wrong):
        try:
            redirects.check_origin(origin, debug=identity_conf.debug)
        except AddressInvalid as error:
            wrong("web_origins", f"{origin[:200]}: {error}")
    _check_called(client, "backchannel_logout_uri", wrong)
    for field in ("frontchannel_logout_uri", "initiate_login_uri"):
        address = getattr(client, field)
        if address:
            try:
                redirects.check_registrable(address, is_native=False, debug=identity_conf.debug)
            except AddressInvalid as error:
                wrong(field, str(error))


def _texts(client: Client, field: str, wrong: Any) -> list[str]:
    values = getattr(client, field)
    if not _is_list_of_text(values):
        wrong(field, _("It is not a list of addresses."))
        return []
    if len(set(values)) != len(values):
        wrong(field, _("An address is there twice."))
    return list(values)


def _check_called(client: Client, field: str, wrong: Any) -> None:
    """Judge an address that we would call ourselves (S34, decision 12)."""
    address = getattr(client, field)
    if not address:
        return
    is_internal = client.catalogue_entry.is_internal
    try:
        outbound.check_url(address, internal=is_internal)
    except outbound.AddressRefused as error:
        wrong(field, str(error))


_CEILINGS = {
    "authorization_code_lifetime_seconds": "max_authorization_code_lifetime",
    "access_token_lifetime_seconds": "max_access_token_lifetime",
    "id_token_lifetime_seconds": "max_id_token_lifetime",
    "refresh_token_lifetime_seconds": "max_refresh_token_lifetime",
}


def _check_lifetimes(client: Client, wrong: Any) -> None:
    if client.id_token_signed_response_alg not in SigningAlgorithm.values:
        wrong("id_token_signed_response_alg", _("It is not supported."))  # never none, never a shared secret
    elif client.id_token_signed_response_alg not in _spoken(client).signing_algorithms:
        names = ", ".join(_spoken(client).signing_algorithms)
        wrong("id_token_signed_response_alg", _("The dialect knows only: %(names)s.") % {"names": names})
    for field, name in _CEILINGS.items():
        seconds, ceiling = getattr(client, field), getattr(conf, name)
        if seconds is not None and not timedelta(seconds=1) <= timedelta(seconds=seconds) <= ceiling:
            wrong(field, _("From 1 to %(most)d seconds.") % {"most": int(ceiling.total_seconds())})
    grace, most = client.refresh_token_grace_seconds, int(conf.max_refresh_token_grace.total_seconds())
    if grace is not None and not (isinstance(grace, int) and 0 <= grace <= most):
        wrong("refresh_token_grace_seconds", _("From 0 to %(most)d seconds.") % {"most": most})


def _check_rate(client: Client, wrong: Any) -> None:
    rate = client.api_requests_per_minute
    if rate is not None and not (isinstance(rate, int) and 1 <= rate <= MAX_REQUESTS_PER_MINUTE):
        wrong("api_requests_per_minute", _("From 1 to %(most)d, or empty.") % {"most": MAX_REQUESTS_PER_MINUTE})


def _is_list_of_text(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


# Pieces ----------------------------------------------------------------------------------------------------


def defaults_of(dialect: object) -> dict[str, Any]:
    """Return what a new client of a dialect has where nobody says otherwise; nothing for an unknown dialect."""
    found = _DIALECTS.get(str(dialect or STANDARD.name), STANDARD)
    return copy.deepcopy(dict(found.client_defaults))


def _spoken(client: Client) -> Dialect:
    return _DIALECTS.get(client.dialect, STANDARD)


def _public_clients(client: Client) -> Any:
    rows = Client.objects.filter(catalogue_entry_id=client.catalogue_entry_id, dialect=client.dialect)
    return rows.filter(token_endpoint_auth_method=AuthMethod.NONE).exclude(pk=client.pk)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(values.keys() - set(FIELDS)):
        raise ValidationError({name: _("There is no such setting.") for name in unknown})
    return dict(values)


def _set_secret(client: Client, secret: str) -> None:
    if len(secret) < MIN_SECRET_LENGTH or "\x00" in secret:
        text = _("A secret has at least %(count)d characters.") % {"count": MIN_SECRET_LENGTH}
        raise ValidationError({"client_secret": text})
    if _spoken(client).needs_plain_secrets and not _UNRESERVED.fullmatch(secret):
        text = _("In this dialect a secret may hold letters, digits and - . _ ~ only.")
        raise ValidationError({"client_secret": text})
    client.secret_hash = hash_secret(secret)
    client.previous_secret_hash, client.previous_secret_expires_at = "", None
    client.secret_changed_at = timezone.now()


def _is_secret(client: Client, secret: str) -> bool:
    if not client.secret_hash:
        return False
    return crypto.matches_keyed_hash(secret, client.secret_hash, purpose=SECRET_PURPOSE)


def _ensure_keys(client: Client, *, context: RequestContext) -> None:
    """Have the key published before the first id_token of this algorithm, and not made in a client's request."""
    tenant = client.catalogue_entry.tenant
    keys.ensure(tenant=tenant, use=KeyUse.SIG, alg=client.id_token_signed_response_alg, context=context)


def _snapshot(client: Client, api_scopes: Iterable[ApiScope]) -> dict[str, Any]:
    return {name: getattr(client, name) for name in FIELDS} | {
        "client_id": client.client_id,
        "api_scopes": sorted(scope.name for scope in api_scopes),
    }


def _record(
    event: EventType, client: Client, *, context: RequestContext, actor: object, changes: Mapping[str, Any]
) -> None:
    audit.record(
        event,
        tenant=client.catalogue_entry.tenant,
        actor=actor,
        target=client,
        application=client.catalogue_entry,
        client_id=client.client_id,
        dialect=client.dialect,
        context=context,
        changes=changes,
    )
