"""Passwords: the tenant's policy, setting and changing, checking, age.

Hashing is slow on purpose, so it happens outside transactions; the write that follows is refused if the password was
changed meanwhile. Every new password ends the user's sessions and tokens (decision 14).
"""

from __future__ import annotations

import math
import secrets
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import hashers
from django.db import transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from identity import audit, authority, policies
from identity.authority import Change
from identity.context import RequestContext
from identity.errors import AccountDisabled, CredentialsRefused, NotFound, PasswordRefused, ValueRequired
from identity.events import EventType
from identity.messaging import phone
from identity.models import PasswordHistory, PasswordPolicy, SessionEndReason, User
from identity.passwords import breaches, weak_passwords
from identity.passwords.hashers import LegacyHasher
from identity.passwords.turns import turn
from identity.retries import retried
from identity.sso import access
from identity.texts import is_storable, prepared_password

# Shorter parts of a person's data would forbid nearly everything. A Chinese name has two characters.
_MIN_PART_LENGTH = 3
_MIN_WIDE_PART_LENGTH = 2
# More than any policy allows: refused before a hasher sees it.
_MAX_CHECKED_LENGTH = 1024
_GENERATED_LENGTH = 20


@dataclass(frozen=True, slots=True)
class PasswordAge:
    """How a password stands with the tenant's limits on age."""

    is_expired: bool = False
    must_change: bool = False  # an operator demanded it
    is_warned: bool = False
    days_left: int | None = None  # None: it does not expire


# Checking --------------------------------------------------------------------------------------------------


def check_password(*, user: User | None, password: str) -> bool:
    """Tell whether it is the user's password. An unknown user, or one without a password, costs the same (S33).

    A hash of another system, or of weaker parameters, is replaced by ours when the password was right. A wrong one
    costs our hash beside the other, too: never less than that of an unknown user. It costs more where the other
    system's was slow, until the first sign-in. What has two forms costs twice, whoever is asked for.
    Raises SystemBusy, before anything is compared.
    """
    forms = _forms(password)
    with turn():
        if user is None or not user.has_usable_password() or not _is_hashable(password):
            for _form in forms:
                hashers.make_password("x" * min(len(password), _MAX_CHECKED_LENGTH))
            return False
        stored = user.password
        is_right, upgraded = _compare(forms, stored)
    # Conditional: a password that was changed meanwhile is not put back.
    if upgraded and User.objects.filter(pk=user.pk, password=stored).update(password=upgraded):
        user.password = upgraded
    return is_right


def _compare(forms: tuple[str, ...], stored: str) -> tuple[bool, str]:
    """Tell whether one of the forms is the password, and which hash takes the place of the stored one, "" for none."""
    prepared = forms[0]
    is_right, is_old = hashers.verify_password(prepared, stored)
    if is_right:
        return True, hashers.make_password(prepared) if is_old else ""
    if any(hashers.check_password(typed, stored) for typed in forms[1:]):
        return True, hashers.make_password(prepared)
    if _is_cheaper_when_wrong(stored):
        for form in forms:
            hashers.make_password(form)
    return False, ""


def is_same(one: str, other: str) -> bool:
    """Tell whether both are one password, however a keyboard composed it."""
    return prepared_password(one) == prepared_password(other)


def _forms(password: str) -> tuple[str, ...]:
    """Return the password as it is hashed now and, where that differs, as it was typed, which older hashes are of.

    One form for everything in ASCII, so that nearly every check costs one hash.
    """
    if len(password) > _MAX_CHECKED_LENGTH:
        return (password,)
    return tuple(dict.fromkeys((prepared_password(password), password)))


def _is_cheaper_when_wrong(encoded: str) -> bool:
    """Tell whether only a right password is hashed in our way, by the upgrade."""
    try:
        preferred, own = hashers.get_hasher(), hashers.identify_hasher(encoded)
    except ValueError:
        return False  # Damaged; Django has hashed already.
    if own.algorithm == preferred.algorithm:
        return preferred.must_update(encoded)
    return not isinstance(own, LegacyHasher)


def password_age(*, user: User, policy: PasswordPolicy | None = None, now: datetime | None = None) -> PasswordAge:
    """Tell whether the user's password must, or soon must, be changed."""
    policy = policy or policies.password_policy(user.tenant)
    if not user.has_usable_password():
        return PasswordAge()
    if policy.max_age_days == 0:
        return PasswordAge(must_change=user.password_must_change)
    # An imported password has no date of its own; it is as old as the account.
    expires_at = (user.password_changed_at or user.created_at) + timedelta(days=policy.max_age_days)
    left = expires_at - (now or timezone.now())
    days_left = max(0, math.ceil(left / timedelta(days=1)))
    is_expired = left <= timedelta(0)
    return PasswordAge(
        is_expired=is_expired,
        must_change=user.password_must_change,
        is_warned=not is_expired and days_left <= policy.warn_days,
        days_left=days_left,
    )


# Setting ---------------------------------------------------------------------------------------------------


def set_password(
    *,
    user: User,
    password: str,
    context: RequestContext,
    actor: Any = None,
    must_change: bool = False,
    may_be_disabled: bool = True,
) -> None:
    """Give the user a new password without asking for the old one: an operator, an API or a proved reset.

    may_be_disabled: whether a disabled user may get one, which is of use only to whoever enables them again.
    Raises AuthorityRefused, ValueRequired (PWD.0008), PasswordRefused (PWD.0001 to PWD.0007) and AccountDisabled
    (USER.0004).
    """
    # Before the hashing, which is slow, and again under the lock.
    authority.check(Change.PASSWORD, user=user, actor=actor)
    if not (user.is_active or may_be_disabled):
        raise AccountDisabled(log_detail=f"user={user.pk}")
    _replace(
        user=user,
        password=password,
        context=context,
        actor=actor,
        must_change=must_change,
        event=EventType.PASSWORD_RESET,
    )


def change_password(*, user: User, old_password: str, new_password: str, context: RequestContext) -> None:
    """Let the user change the password.

    Who calls this has counted the attempt: a wrong old password is a guess like any other (S30). All sessions end,
    the present one too; the caller opens a new one.
    Raises ValueRequired (PARAM.0018, PARAM.0019), CredentialsRefused (PARAM.0028), PasswordRefused (PARAM.0020,
    PWD.*), AccountDisabled.
    """
    if not old_password:
        raise ValueRequired("PARAM.0018")
    if not new_password:
        raise ValueRequired("PARAM.0019")
    if not check_password(user=user, password=old_password):
        raise CredentialsRefused("PARAM.0028", log_detail=f"user={user.pk}")
    if not user.is_active:
        raise AccountDisabled(log_detail=f"user={user.pk}")
    if is_same(old_password, new_password):
        raise PasswordRefused("PARAM.0020")
    _replace(
        user=user,
        password=new_password,
        context=context,
        actor=user,
        must_change=False,
        event=EventType.PASSWORD_CHANGE,
    )


def hash_new(
    *,
    user: User,
    password: str,
    policy: PasswordPolicy | None = None,
    looked_up_by: Mapping[str, Any] | None = None,
) -> str:
    """Check a first password of a user who is not stored yet, and hash it.

    looked_up_by: the context and the actor of a caller without a transaction, for whom the password is also looked up
    in breaches where the policy says so. Others have done that before, or bring in what nobody types.
    """
    policy = policy or policies.password_policy(user.tenant)
    check_policy(password, user=user, policy=policy)
    if looked_up_by is not None and policy.refuse_breached:
        breaches.check(password, tenant=user.tenant, **looked_up_by)
    with turn():
        return hashers.make_password(prepared_password(password))


def remove_password(*, user: User) -> None:
    """Leave the user without a password and without old ones; part of deleting a user."""
    user.set_unusable_password()
    PasswordHistory.objects.filter(user=user).delete()


def _replace(
    *, user: User, password: str, context: RequestContext, actor: Any, must_change: bool, event: EventType
) -> None:
    policy = policies.password_policy(user.tenant)
    before = user.password
    check_policy(password, user=user, policy=policy)
    # Slow on purpose, so before the transaction.
    with turn():
        _check_history(password, user=user, policy=policy)
        encoded = hashers.make_password(prepared_password(password))
    _store(
        user=user,
        before=before,
        encoded=encoded,
        history_length=policy.history_length,
        must_change=must_change,
        event=event,
        context=context,
        actor=actor,
    )


@retried
def _store(
    *,
    user: User,
    before: str,
    encoded: str,
    history_length: int,
    must_change: bool,
    event: EventType,
    context: RequestContext,
    actor: Any,
) -> None:
    """Put one hash in the place of another, and end what was granted before: one UPDATE does both (S48)."""
    with transaction.atomic():
        row = User.objects.present().select_for_update(no_key=True).filter(pk=user.pk).first()
        if row is None:
            raise NotFound("USER.0001", log_detail=f"user={user.pk}")
        authority.check(Change.PASSWORD, user=row, actor=actor)
        if row.password != before and not _is_upgrade(row.password, before):
            # Of two changes at once one wins; the other was checked against a password that is gone.
            raise CredentialsRefused("PARAM.0028", log_detail=f"user={user.pk} changed meanwhile")
        if actor == user and row.epoch != user.epoch:
            # What the person proved was proved before something ended it, such as becoming an operator (S48).
            raise CredentialsRefused("PARAM.0028", log_detail=f"user={user.pk} is in another epoch")
        if history_length and row.has_usable_password():
            PasswordHistory.objects.create(user=row, password=row.password)
        _trim_history(row, keep=history_length)
        values = {
            "password": encoded,
            "password_changed_at": timezone.now(),
            "password_must_change": must_change,
            "epoch": row.epoch + 1,
        }
        for name, value in values.items():
            setattr(row, name, value)
            setattr(user, name, value)
        row.save(update_fields=[*values, "updated_at"])
        audit.record(
            event,
            tenant=user.tenant,
            actor=actor,
            target=user,
            context=context,
            details={"must_change": must_change},
        )
        access.close_old_epochs(user=user, reason=SessionEndReason.PASSWORD_CHANGED, context=context, actor=actor)


def _is_upgrade(now: str, before: str) -> bool:
    """Tell whether the hash differs only because a sign-in meanwhile replaced an old algorithm."""
    return not before.startswith("argon2$") and now.startswith("argon2$")


def _trim_history(user: User, *, keep: int) -> None:
    kept = list(user.password_history.order_by("-created_at", "-pk").values_list("pk", flat=True)[:keep])
    user.password_history.exclude(pk__in=kept).delete()


def _check_history(password: str, *, user: User, policy: PasswordPolicy) -> None:
    """PWD.0001: neither the present password nor one of the last ones. Slow: one hash for each."""
    if not policy.history_length:
        return
    old = user.password_history.order_by("-created_at", "-pk").values_list("password", flat=True)
    for encoded in [user.password, *old[: policy.history_length]]:
        if not hashers.is_password_usable(encoded):
            continue
        if any(hashers.check_password(form, encoded) for form in _forms(password)):
            raise PasswordRefused("PWD.0001")


# The policy ------------------------------------------------------------------------------------------------


def check_policy(password: str, *, user: User, policy: PasswordPolicy) -> None:
    """Refuse a password that breaks the policy; the user's old passwords are another question.

    Raises ValueRequired (PWD.0008) and PasswordRefused: PWD.0007 (length), PWD.0005 (classes), PWD.0006 (repeats),
    PWD.0004 (weak list), PWD.0002 (user name backwards), PWD.0003 (the person's own data).
    """
    if not password:
        raise ValueRequired("PWD.0008")
    # RFC 8265 4.2.2: judged as it is hashed, so that no rule counts an accent as a character.
    password = prepared_password(password)
    if not policy.min_length <= len(password) <= policy.max_length:
        raise PasswordRefused("PWD.0007", policy.min_length, policy.max_length)
    if count_classes(password) < policy.min_classes or not _is_hashable(password):
        raise PasswordRefused("PWD.0005")
    if policy.max_identical and max(Counter(password).values()) > policy.max_identical:
        raise PasswordRefused("PWD.0006", policy.max_identical)
    if policy.refuse_weak_list and weak_passwords.is_weak(password):
        raise PasswordRefused("PWD.0004")
    if weak_passwords.is_one_of(password, policy.weak_words.splitlines()):
        raise PasswordRefused("PWD.0004")
    compared = _compared(password)
    if policy.refuse_user_name_reversed and _contains(compared, _compared(user.user_name)[::-1]):
        raise PasswordRefused("PWD.0002")
    # Without punctuation too, in which a telephone may be written.
    forms = (compared, compared.replace("-", "").replace(" ", ""))
    if policy.refuse_user_name and any(_contains(form, part) for part in _own_data(user) for form in forms):
        raise PasswordRefused("PWD.0003")


def count_classes(password: str) -> int:
    """Return how many of lower case, upper case, digits and others there are. Letters without case are others."""
    return len({_class_of(character) for character in password})


def policy_in_words(policy: PasswordPolicy) -> list[Any]:
    """Return the rules as lazily translated sentences, for the pages on which a password is chosen."""
    rules: list[Any] = [
        format_lazy(_("{least} to {most} characters"), least=policy.min_length, most=policy.max_length),
    ]
    if policy.min_classes > 1:
        rules.append(
            format_lazy(
                _("at least {count} of: lower case, upper case, digits, other characters"), count=policy.min_classes
            )
        )
    if policy.max_identical:
        rules.append(
            ngettext_lazy(
                "the same character at most %(count)d time",
                "the same character at most %(count)d times",
                "count",
            )
            % {"count": policy.max_identical}
        )
    if policy.refuse_user_name:
        rules.append(_("not your user name, name, mobile number or e-mail address in it"))
    if policy.refuse_user_name_reversed:
        rules.append(_("not your user name backwards"))
    if policy.refuse_weak_list or policy.weak_words.strip():
        rules.append(_("not a password that many people use"))
    if policy.refuse_breached:
        rules.append(_("not a password that became known in a data breach"))
    if policy.history_length:
        rules.append(
            ngettext_lazy(
                "not the present password or the last one",
                "not the present password or one of the last %(count)d",
                "count",
            )
            % {"count": policy.history_length}
        )
    return rules


def generate_password(policy: PasswordPolicy) -> str:
    """Make a random password that the policy accepts for anybody, of more than 100 bits where it may be long."""
    groups = [string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_.+"]
    # Without the characters that are mistaken for each other when read aloud or typed from paper.
    alphabet = [group.translate(str.maketrans("", "", "lIO01")) for group in groups]
    length = min(max(_GENERATED_LENGTH, policy.min_length), policy.max_length)
    while True:
        password = "".join(secrets.choice("".join(alphabet)) for _position in range(length))
        is_tolerable = not policy.max_identical or max(Counter(password).values()) <= policy.max_identical
        if count_classes(password) == len(groups) and password[0].isalnum() and is_tolerable:
            return password


def _class_of(character: str) -> str:
    if character.islower():
        return "lower"
    if character.isupper():
        return "upper"
    return "digit" if character.isdigit() else "other"


def _is_hashable(password: str) -> bool:
    """Tell whether it can be anybody's password: short enough to be worth the work, and characters only."""
    return len(password) <= _MAX_CHECKED_LENGTH and is_storable(password)


def _own_data(user: User) -> list[str]:
    """Return what of a person must not stand in the password, in the compared form."""
    mobile = user.mobile
    parts = [
        user.user_name,
        user.email.partition("@")[0],
        user.name,
        user.first_name,
        user.last_name,
        user.nick_name,
        *phone.spellings(mobile, country=phone.country_of(user.tenant)),
    ]
    return [_compared(part) for part in parts if part]


def _contains(password: str, part: str) -> bool:
    least = _MIN_PART_LENGTH if part.isascii() else _MIN_WIDE_PART_LENGTH
    return len(part) >= least and part in password


def _compared(text: str) -> str:
    """Return the form in which passwords and personal data are compared: case and width do not matter."""
    return unicodedata.normalize("NFKC", text).casefold()
