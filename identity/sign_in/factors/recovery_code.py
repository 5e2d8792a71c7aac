"""Recovery codes: ten on paper, each good once, for whoever has lost everything else."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from identity import assurance, crypto
from identity.context import RequestContext
from identity.errors import VerificationRefused
from identity.messaging import notices
from identity.models import FactorKind, LoginTransaction, RecoveryCode, User
from identity.sign_in.factors import kinds
from identity.sign_in.factors.base import HeldCode, counted
from identity.sign_in.forms import RecoveryCodeForm
from identity.texts import typed_code

COUNT = 10
WARN_AT = 3  # left

# 50 bits in ten characters of Crockford's base32, whose missing letters are read as those that they look like.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 10
_PURPOSE = "recovery_code"
_LOOKS_LIKE = str.maketrans("OIL", "011")


def new_code() -> str:
    """Return a fresh code as it is printed: two groups of five."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return f"{code[:5]}-{code[5:]}"


def hashes_of(code: str, *, user: User) -> list[str]:
    """Return what is stored of a code, under every live pepper, newest first. It is worthless for anybody else."""
    return crypto.keyed_hashes(f"{user.pk}:{_plain(code)}", purpose=_PURPOSE)


def take(user: User, code: str) -> None:
    """Spend a code. Of any number of tries at once the UPDATE lets one pass. Raises VerificationRefused."""
    open_codes = RecoveryCode.objects.filter(user=user, code_hash__in=hashes_of(code, user=user), consumed_at=None)
    with transaction.atomic():
        # As whoever adds or removes a factor: none of us writes on the person's row what was true a moment ago.
        User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)
        if not open_codes.update(consumed_at=timezone.now()):
            raise VerificationRefused(log_detail=f"user={user.pk} has no open recovery code like this")
        if not left(user):
            kinds.note(user)


def left(user: User) -> int:
    """Return how many codes are not spent yet."""
    return RecoveryCode.objects.filter(user=user, consumed_at=None).count()


class Recovery(HeldCode):
    """Whoever holds the sheet reads a code."""

    name = FactorKind.RECOVERY_CODE
    amr = assurance.ONE_TIME_CODE
    form = RecoveryCodeForm
    template = "identity/login_recovery_code.html"

    def hint(self, user: User) -> str:
        """Return what they are called."""
        return _("your recovery codes")

    def choice(self, user: User) -> str:
        """Return what the button says that chooses it."""
        return _("Use a recovery code instead")

    def check(
        self, row: LoginTransaction, response: Mapping[str, Any], *, user: User, context: RequestContext
    ) -> Sequence[str]:
        """Check and spend a code. A wrong one counts like a wrong password (S30)."""
        with counted(user, tenant=user.tenant, context=context):
            take(user, response["recovery_code"])
        notices.send("factor_changed", user=user, context=context, event="code_used", left=left(user))
        return (self.amr,)


def _plain(code: str) -> str:
    return typed_code(code).upper().translate(_LOOKS_LIKE)
