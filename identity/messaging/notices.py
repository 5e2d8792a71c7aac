"""Mails that tell a person what was done to the account. They carry no code, and nobody waits for them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

from identity import crypto
from identity.context import RequestContext
from identity.messaging import messages
from identity.messaging.senders.base import Message
from identity.models import User, VerificationChannel
from identity.models.messages import NOTICE


def send(template: str, *, user: User, context: RequestContext, **values: Any) -> None:
    """Tell the person by mail, in their language, where the mailbox is proved; whoever did it need not wait.

    template: of `identity/email`, with `_subject`. values: what it shows beside the tenant and the user.
    Call it outside of a transaction, after what it tells of is committed.
    """
    if not user.email or not user.email_verified:
        return
    language = user.language or user.tenant.language
    language = language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
    shown = {"tenant": user.tenant, "user": user, **values}
    with translation.override(language):
        # A line break in a subject would begin a header of its own.
        subject = " ".join(render_to_string(f"identity/email/{template}_subject.txt", shown).split())
        text = render_to_string(f"identity/email/{template}.txt", shown)
    message = Message(
        tenant=user.tenant,
        channel=VerificationChannel.EMAIL,
        purpose=NOTICE,
        target=user.email,
        verification_code="",
        valid_minutes=0,
        language=language,
        subject=subject,
        text=text,
    )
    ways = messages.routes(tenant=user.tenant, channel=VerificationChannel.EMAIL)
    envelope = messages.envelope_of(user=user, target_masked=crypto.mask_email(user.email), context=context)
    messages.dispatch(lambda: messages.hand_over(message, ways=ways, envelope=envelope), is_beside_answer=True)
