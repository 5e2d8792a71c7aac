"""Setting up how messages leave the house: gateways, texts, and a test message; for operators.

A gateway is made switched off, gets what its kind asks for, and is switched on once that is whole. Its secret is sealed
and never shown; whoever may not let private addresses be called cannot change a gateway that may, either.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext as _

from identity import audit, crypto, throttle
from identity.conf import conf
from identity.context import RequestContext
from identity.events import EventType
from identity.integrity import assign
from identity.messaging import messages, phone
from identity.messaging.senders import KINDS, texts
from identity.messaging.senders.base import GatewayKind, Message
from identity.messaging.senders.texts import Content, Text
from identity.models import (
    CounterKind,
    MessageGateway,
    MessageTemplate,
    SentMessage,
    Tenant,
    User,
    VerificationChannel,
    VerificationPurpose,
)
from identity.throttle import Limit

SAMPLE_CODE = "123456"
SAMPLE_MINUTES = 5
_MASK = "•••"
_TESTS = Limit(20, timedelta(hours=1))  # of one tenant's operators together
_COLUMNS = ("name", "position", "base_url", "is_active", "is_internal")


# Gateways --------------------------------------------------------------------------------------------------


def create(
    *,
    tenant: Tenant,
    channel: str,
    kind: str,
    name: str,
    context: RequestContext,
    actor: Any = None,
    position: int = 0,
) -> MessageGateway:
    """Make a gateway that is switched off. Raises ValidationError."""
    if kind not in KINDS or channel not in KINDS[kind].channels:
        raise ValidationError({"kind": _("This kind of gateway does not carry this channel.")})
    with transaction.atomic():
        row = MessageGateway(tenant=tenant, channel=channel, kind=kind, name=name, position=position)
        row.settings = {setting.name: setting.default for setting in KINDS[kind].settings}
        row.full_clean()
        row.save()
        changes = {"name": ["", name], "kind": ["", kind], "channel": ["", channel]}
        _record(row, changes, context=context, actor=actor)
    return row


def update(
    *,
    gateway: MessageGateway,
    context: RequestContext,
    actor: Any = None,
    settings: Mapping[str, Any] | None = None,
    secret: str | None = None,
    may_be_internal: bool = False,
    **values: Any,
) -> dict[str, list[Any]]:
    """Change a gateway and tell what changed, as column to [before, after], the secret masked.

    settings: those of the kind that change. secret: None or "" keeps the one there is. values: name, position,
    base_url, is_active, is_internal. may_be_internal: the actor answers for the installation (S34).
    Raises ValidationError by the name of a column, of a setting, or `secret`.
    """
    unknown = sorted(set(values) - set(_COLUMNS))
    if unknown:
        raise ValidationError(_("Not an attribute of a gateway: %(names)s.") % {"names": ", ".join(unknown)})
    with transaction.atomic():
        row = MessageGateway.objects.select_for_update(no_key=True).get(pk=gateway.pk)
        was_internal = row.is_internal
        kind = _kind_of(row)
        if settings is not None:
            known = {setting.name for setting in kind.settings}
            kept = {name: value for name, value in row.settings.items() if name in known}
            values["settings"] = kind.read_settings({**kept, **settings})
        changes = assign(row, values)
        if secret and secret != _unsealed(row):
            row.secret_sealed = crypto.seal(secret, purpose=messages.SECRET_PURPOSE)
            changes["secret"] = [_MASK, _MASK]
        if not changes:
            return {}
        if (was_internal or row.is_internal) and not may_be_internal:
            raise ValidationError({"is_internal": _("Only a superuser sets up a gateway for private addresses.")})
        _check(row, kind)
        row.save()
        _record(row, changes, context=context, actor=actor)
    gateway.refresh_from_db()
    return changes


def delete(*, gateway: MessageGateway, context: RequestContext, actor: Any = None) -> None:
    """Delete a gateway; what it sent stays listed."""
    with transaction.atomic():
        _record(gateway, {"name": [gateway.name, ""]}, context=context, actor=actor)
        gateway.delete()


def send_test(
    *, gateway: MessageGateway, target: str, language: str, context: RequestContext, actor: User
) -> SentMessage:
    """Send a message with a code that opens nothing through this one gateway, and return what became of it.

    Call it outside of a transaction. Raises ValidationError for a target that is none, TooManyRequests.
    """
    tenant = gateway.tenant
    address, masked = _test_target(gateway, target.strip())
    with transaction.atomic():
        throttle.limit(tenant=tenant, kind=CounterKind.SEND_TENANT, key="test", limit=_TESTS)
        audit.record(EventType.MESSAGE_TEST, tenant=tenant, actor=actor, target=gateway, context=context)
    channel, purpose = VerificationChannel(gateway.channel), VerificationPurpose.LOGIN
    content = Content(tenant, f"{secrets.randbelow(10**6):06d}", SAMPLE_MINUTES)
    text = messages.text_of(content, channel=channel, purpose=purpose, language=language)
    message = Message(
        tenant=tenant,
        channel=channel,
        purpose=purpose,
        target=address,
        verification_code=content.verification_code,
        valid_minutes=SAMPLE_MINUTES,
        language=language,
        subject=text.subject,
        text=text.body,
    )
    envelope = messages.envelope_of(user=None, target_masked=masked, context=context, is_test=True)
    return messages.hand_over_once(message, way=messages.route_of(gateway), envelope=envelope)


def _test_target(gateway: MessageGateway, target: str) -> tuple[str, str]:
    """Return the address as gateways take it, and masked."""
    if gateway.channel == VerificationChannel.EMAIL:
        validate_email(target)
        return target, crypto.mask_email(target)
    number = phone.parse(target, country=phone.country_of(gateway.tenant))
    if number is None or not messages.is_country_allowed(number.country, tenant=gateway.tenant):
        raise ValidationError(_("Your tenant sends no messages to this number."))
    return number.e164, crypto.mask_mobile(number.e164)


def _kind_of(row: MessageGateway) -> GatewayKind:
    kind = KINDS.get(row.kind)
    if kind is None:
        raise ValidationError(_("This installation does not have this kind of gateway any more."))
    return kind


def _check(row: MessageGateway, kind: GatewayKind) -> None:
    """Refuse to switch on what cannot work. Raises ValidationError."""
    if not kind.has_address and row.base_url:
        raise ValidationError({"base_url": _("This kind of gateway has no address.")})
    if not row.is_active:
        return
    if kind.is_development_only and not conf.debug:
        raise ValidationError({"is_active": _("This kind of gateway is for development only.")})
    kind.read_settings(row.settings)
    if kind.secret_label and kind.is_secret_required and not row.secret_sealed:
        raise ValidationError({"secret": _("This is needed.")})
    kind.check(messages.facts_of(row))


def _unsealed(row: MessageGateway) -> str:
    try:
        return messages.facts_of(row).secret
    except crypto.UnsealError:
        return ""  # a new secret replaces what nobody can read


def _record(row: MessageGateway, changes: dict[str, list[Any]], *, context: RequestContext, actor: Any) -> None:
    audit.record(
        EventType.MESSAGE_GATEWAY_UPDATE, tenant=row.tenant, actor=actor, target=row, context=context, changes=changes
    )


# Texts -----------------------------------------------------------------------------------------------------


def set_template(
    *,
    tenant: Tenant,
    channel: str,
    purpose: str,
    language: str,
    text: str,
    context: RequestContext,
    actor: Any = None,
    subject: str = "",
) -> tuple[MessageTemplate, dict[str, list[Any]]]:
    """Give the tenant its own text for a purpose and language; return the row and what changed.

    Raises ValidationError by the name of a column.
    """
    if language not in dict(django_settings.LANGUAGES):
        raise ValidationError({"language": _("Monban does not speak this language.")})
    text = text.replace("\r\n", "\n")
    with transaction.atomic():
        wanted = {"tenant": tenant, "channel": channel, "purpose": purpose, "language": language}
        row = MessageTemplate.objects.select_for_update(no_key=True).filter(**wanted).first() or MessageTemplate(
            **wanted
        )
        before = {"subject": row.subject, "text": row.text}
        row.subject, row.text = subject, text
        row.full_clean()
        texts.check(Text(subject, text), channel=VerificationChannel(channel))
        changes = {name: [value, getattr(row, name)] for name, value in before.items() if value != getattr(row, name)}
        if changes:
            row.save()
            audit.record(
                EventType.MESSAGE_TEMPLATE_UPDATE,
                tenant=tenant,
                actor=actor,
                target=row,
                context=context,
                changes={f"{row}.{name}": pair for name, pair in changes.items()},
            )
    return row, changes


def delete_template(*, template: MessageTemplate, context: RequestContext, actor: Any = None) -> None:
    """Go back to Monban's own text."""
    with transaction.atomic():
        audit.record(
            EventType.MESSAGE_TEMPLATE_UPDATE,
            tenant=template.tenant,
            actor=actor,
            target=template,
            context=context,
            changes={f"{template}.text": [template.text, ""]},
        )
        template.delete()


def preview(template: MessageTemplate) -> Text:
    """Return what the template becomes, with a code that was never sent."""
    content = Content(template.tenant, SAMPLE_CODE, SAMPLE_MINUTES)
    return texts.fill(Text(template.subject, template.text), content)


def default_of(template: MessageTemplate) -> Text:
    """Return what Monban would send without the template."""
    return texts.default(
        Content(template.tenant, SAMPLE_CODE, SAMPLE_MINUTES),
        channel=VerificationChannel(template.channel),
        purpose=VerificationPurpose(template.purpose),
        language=template.language,
    )
