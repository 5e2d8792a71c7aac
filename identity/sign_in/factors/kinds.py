"""Which kinds of factors a person has enrolled, noted on the person's row."""

from __future__ import annotations

from identity.models import AuthenticatorApp, FactorKind, Passkey, RecoveryCode, User


def of(user: User) -> list[str]:
    """Return the kinds that the person's row names."""
    return user.factor_kinds.split()


def note(user: User) -> None:
    """Read what the person has, and write it on the row and on this copy, in the transaction that changed it."""
    found: list[str] = []
    if Passkey.objects.filter(user=user).exists():
        found.append(FactorKind.PASSKEY)
    if AuthenticatorApp.objects.filter(user=user).exists():
        found.append(FactorKind.TOTP)
    if RecoveryCode.objects.filter(user=user, consumed_at=None).exists():
        found.append(FactorKind.RECOVERY_CODE)
    user.factor_kinds = " ".join(found)
    User.objects.filter(pk=user.pk).update(factor_kinds=user.factor_kinds)
