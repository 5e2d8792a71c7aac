"""Django's authentication backend: it proves nobody, because sessions are ours, and says who may do what.

A person comes to the admin by the same sign-in as everywhere (decision 39). A superuser may do everything in every
tenant. An operator has the rights of their groups, and only on rows of their own tenant; what belongs to the
installation and not to one tenant is never theirs to write.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from identity.models import User

_INSTALLATION_RIGHTS = frozenset({"identity.add_tenant", "identity.delete_tenant"})
_INSTALLATION_APPS = frozenset({"auth", "sessions", "contenttypes", "admin"})


class SSOSessionBackend(ModelBackend):
    """Rights of the user that SSOSessionMiddleware found."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:  # type: ignore[override]
        """Prove nobody: `identity.sign_in.login` is the only way in."""

    def get_user(self, user_id: int) -> User | None:
        """Return a user who may act, for Django's own machinery."""
        user = User.objects.select_related("tenant").filter(pk=user_id).first()
        return user if user is not None and user.is_usable else None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Tell whether an operator may do this kind of thing, and to this row."""
        if not _is_operator(user_obj) or perm in _INSTALLATION_RIGHTS:
            return False
        if perm.partition(".")[0] in _INSTALLATION_APPS:
            return False
        tenant_id = getattr(obj, "tenant_id", None)
        return (tenant_id is None or tenant_id == user_obj.tenant_id) and super().has_perm(user_obj, perm)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Tell whether an operator may open an app in the admin."""
        is_ours = app_label not in _INSTALLATION_APPS
        return is_ours and _is_operator(user_obj) and super().has_module_perms(user_obj, app_label)


def _is_operator(user: Any) -> bool:
    return bool(getattr(user, "is_staff", False)) and user.is_usable
