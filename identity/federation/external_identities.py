"""Who people are at other providers: recognising them, linking, merging and unlinking.

A provider may name one person twice: by `openid` in each of our applications there, and by `subject` in all of one
owner, which it may begin to tell only later. Both are proofs of the same person, so:

- somebody is recognised by the subject, else by the openid of this application;
- what was not known yet is written down at every sign-in, so that the next application finds the subject;
- where subject and openid lead to two links, both were the same person all along, and the subject's link stays.

What must be unique is decided by the database: of many who link one account, or several accounts to one user, at the
same moment one wins, and the others are told SOCIAL.0001.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction

from identity import audit, authority, crypto
from identity.authority import Change
from identity.context import RequestContext
from identity.errors import AlreadyExists, NotAllowed, NotFound, StateInvalid
from identity.events import EventType
from identity.federation import upstreams
from identity.federation.connectors.base import ExternalPerson, connectors
from identity.integrity import refusing
from identity.lookups import equals
from identity.models import ExternalAccount, ExternalIdentity, Tenant, Upstream, User
from identity.retries import retried
from identity.texts import is_storable

_PARKED = "login_transaction.external"


# Recognising -----------------------------------------------------------------------------------------------


@retried
def recognise(*, upstream: Upstream, person: ExternalPerson, context: RequestContext) -> ExternalIdentity | None:
    """Find the link of this person and bring it up to date; None where there is none yet."""
    by_subject = _by_subject(upstream, person)
    account = _account_of(upstream, person)
    identity = by_subject or (account.identity if account else None)
    if identity is None:
        return None
    with transaction.atomic():
        if by_subject is not None and account is not None and account.identity_id != by_subject.pk:
            _merge(account, into=by_subject, context=context)
        _complete(identity, upstream=upstream, person=person, has_account=account is not None)
    return identity


def _by_subject(upstream: Upstream, person: ExternalPerson) -> ExternalIdentity | None:
    if not person.subject:
        return None
    rows = ExternalIdentity.objects.select_related("user__tenant__session_policy")
    return rows.filter(equals("subject", person.subject), **_scope(upstream)).first()


def _account_of(upstream: Upstream, person: ExternalPerson) -> ExternalAccount | None:
    if not person.openid:
        return None
    rows = ExternalAccount.objects.select_related("identity__user__tenant__session_policy")
    return rows.filter(**_scope(upstream), client_id=upstream.client_id, openid=person.openid).first()


def _scope(upstream: Upstream) -> dict[str, Any]:
    return {"tenant_id": upstream.tenant_id, "namespace": upstreams.namespace_of(upstream)}


def _complete(identity: ExternalIdentity, *, upstream: Upstream, person: ExternalPerson, has_account: bool) -> None:
    """Write down what the provider tells now. Two sign-ins at once write the same, so the second one finds it there."""
    if person.subject and identity.subject != person.subject:
        # The provider tells a subject for the first time, or another one because the application went to another owner
        # there. The openids stay the same, and by one of them the person was recognised.
        try:
            with transaction.atomic():
                ExternalIdentity.objects.filter(pk=identity.pk).update(subject=person.subject)
            identity.subject = person.subject
        except IntegrityError:
            # This user is already linked to another subject: two people of the provider share one user of ours, each
            # in an application of their own. Both links stay as they are.
            return
    if person.openid and not has_account:
        try:
            with transaction.atomic():
                _add_account(identity, upstream=upstream, person=person)
        except IntegrityError:
            # The same sign-in a moment ago, or an openid that this application gave the person before.
            return
    shown = {"nickname": person.nickname, "picture_url": person.picture_url}
    news = {name: value for name, value in shown.items() if value and getattr(identity, name) != value}
    if news:
        for name, value in news.items():
            setattr(identity, name, value)
        identity.save(update_fields=[*news, "updated_at"])


def _merge(account: ExternalAccount, *, into: ExternalIdentity, context: RequestContext) -> None:
    """Give an account to the link of its subject, and drop the link it leaves if nothing is left of it."""
    left = account.identity
    try:
        with transaction.atomic():
            ExternalAccount.objects.filter(pk=account.pk).update(identity=into, user=into.user)
    except IntegrityError:
        # The other link knows the person by another openid in this very application: that one is older than ours.
        account.delete()
    if not left.subject and not left.accounts.exists():
        left.delete()
    audit.record(
        EventType.EXTERNAL_MERGE,
        tenant=into.user.tenant,
        actor=into.user,
        target=into.user,
        context=context,
        details={"kind": into.kind, "from_user": left.user.public_id, "to_user": into.user.public_id},
    )


# Linking ---------------------------------------------------------------------------------------------------


@retried
def link(*, user: User, upstream: Upstream, person: ExternalPerson, context: RequestContext) -> ExternalIdentity:
    """Link a person of the provider to a user who has proved to be one of ours, in the transaction of that proof.

    Raises AlreadyExists (SOCIAL.0001) where the person, or this user at this provider, is linked elsewhere.
    """
    with transaction.atomic():
        identity = ExternalIdentity(
            **_scope(upstream),
            user=user,
            kind=upstream.kind,
            subject=person.subject,
            nickname=person.nickname,
            picture_url=person.picture_url,
        )
        with refusing(
            ExternalIdentity,
            {"one_user_per_external_subject": _linked_already, "one_external_subject_per_user": _linked_already},
        ):
            identity.save(force_insert=True)
        if person.openid:
            with refusing(
                ExternalAccount,
                {"one_user_per_external_account": _linked_already, "one_external_account_per_user": _linked_already},
            ):
                _add_account(identity, upstream=upstream, person=person)
        audit.record(
            EventType.EXTERNAL_LINK,
            tenant=user.tenant,
            actor=user,
            target=user,
            context=context,
            details={"kind": identity.kind, "link": identity.public_id, "upstream": upstream.public_id},
            personal={"nickname": identity.nickname},
        )
    return identity


def check_free(*, user: User, upstream: Upstream, person: ExternalPerson) -> None:
    """Tell early what `link` would refuse, before the user is asked for more. Raises AlreadyExists (SOCIAL.0001)."""
    scope = _scope(upstream)
    taken = person.subject and ExternalIdentity.objects.filter(user=user, **scope).exclude(subject="").exists()
    if taken or ExternalAccount.objects.filter(user=user, client_id=upstream.client_id, **scope).exists():
        raise _linked_already()


def _add_account(identity: ExternalIdentity, *, upstream: Upstream, person: ExternalPerson) -> None:
    ExternalAccount.objects.create(
        identity=identity,
        tenant_id=identity.tenant_id,
        user_id=identity.user_id,
        namespace=identity.namespace,
        client_id=upstream.client_id,
        openid=person.openid,
    )


def _linked_already() -> AlreadyExists:
    return AlreadyExists("SOCIAL.0001")


# Parked in a sign-in ---------------------------------------------------------------------------------------


def park(*, upstream: Upstream, person: ExternalPerson) -> dict[str, str]:
    """Return what a sign-in under way keeps of somebody who is not linked yet: sealed, as it is personal data."""
    fields = {
        "subject": person.subject,
        "openid": person.openid,
        "nickname": person.nickname,
        "picture_url": person.picture_url,
    }
    return {"upstream": upstream.public_id, "person": crypto.seal(json.dumps(fields), purpose=_PARKED)}


def unpark(parked: dict[str, str], *, tenant: Tenant) -> tuple[Upstream, ExternalPerson]:
    """Return what `park` kept. Raises StateInvalid where the source was taken away or switched off meanwhile."""
    upstream = Upstream.objects.filter(tenant=tenant, public_id=parked["upstream"], is_active=True).first()
    if upstream is None or upstream.kind not in connectors():
        raise StateInvalid(log_detail="upstream is gone")
    upstream.tenant = tenant
    return upstream, ExternalPerson(**json.loads(crypto.unseal(parked["person"], purpose=_PARKED)))


def link_parked(parked: dict[str, str], *, user: User, tenant: Tenant, context: RequestContext) -> None:
    """Link whom `park` kept. Raises as `unpark` and `link`."""
    upstream, person = unpark(parked, tenant=tenant)
    link(user=user, upstream=upstream, person=person, context=context)


# Looking and unlinking -------------------------------------------------------------------------------------


def list_of(user: User) -> Sequence[ExternalIdentity]:
    """Return the user's links, the oldest first."""
    return list(ExternalIdentity.objects.filter(user=user).prefetch_related("accounts").order_by("pk"))


def get_own(*, user: User, public_id: str) -> ExternalIdentity:
    """Return one of the user's own links. Raises NotFound (SOCIAL.0003), for other people's links too."""
    rows = ExternalIdentity.objects.filter(user=user, public_id=public_id)
    found = rows.first() if is_storable(public_id) else None
    if found is None:
        raise NotFound("SOCIAL.0003", log_detail=f"user={user.pk}")
    return found


@retried
def unlink(*, identity: ExternalIdentity, context: RequestContext, actor: Any = None, is_forced: bool = False) -> None:
    """Take a link away. Raises NotAllowed (SOCIAL.0002) for a person's last way to sign in, and AuthorityRefused.

    actor: None is the person. is_forced: an operator does it, who can give the person another way.
    """
    with transaction.atomic():
        # The user's row first: of two unlinkings at the same moment the second one sees what the first has left.
        people = User.objects.select_related("tenant").select_for_update(of=("self",), no_key=True)
        user = people.get(pk=identity.user_id)
        authority.check(Change.FACTOR, user=user, actor=actor or user)
        if not is_forced and not _has_other_way(user, than=identity):
            raise NotAllowed("SOCIAL.0002", log_detail=f"user={user.pk}")
        deleted, _rows = ExternalIdentity.objects.filter(pk=identity.pk).delete()
        if deleted:
            audit.record(
                EventType.EXTERNAL_UNLINK,
                tenant=user.tenant,
                actor=actor or user,
                target=user,
                context=context,
                details={"kind": identity.kind, "link": identity.public_id},
            )


def _has_other_way(user: User, *, than: ExternalIdentity) -> bool:
    """Tell whether the person can sign in without this link: by password, proved number or mailbox, or another link."""
    if user.has_usable_password() or (user.mobile_index and user.phone_number_verified):
        return True
    if user.email and user.email_verified:
        return True
    return ExternalIdentity.objects.filter(user=user).exclude(pk=than.pk).exists()
