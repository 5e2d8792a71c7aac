"""Which kinds of factors a person has enrolled, noted on the person's row."""

from __future__ import annotations

from identity.models import AuthenticatorApp, FactorKind, RecoveryCode, User


def note(user: User) -> None:
    """Read what the person has, and write it on the row and on this copy, in the transaction that changed it."""
    found: list[str] = [FactorKind.TOTP] if AuthenticatorApp.objects.filter(user=user).exists() else []
    if RecoveryCode.objects.filter(user=user, consumed_at=None).exists():
        found.append(FactorKind.RECOVERY_CODE)
    user.factor_kinds = " ".join(found)
    User.objects.filter(pk=user.pk).update(factor_kinds=user.factor_kinds)
