"""Django's authentication backend: it proves nobody, because sessions are ours, and says who may do what.

A person comes to the admin by the same sign-in as everywhere (decision 39). is_superuser may do everything in every
tenant; is_staff may work on the rows of their own tenant, within the limits below.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from identity.models import User

# What belongs to the installation and not to one tenant: operators of a tenant may look at most.
_INSTALLATION_MODELS = frozenset({"tenant", "tenantdomain"})
_INSTALLATION_APPS = frozenset({"auth", "sessions", "contenttypes", "admin"})


class SSOSessionBackend(BaseBackend):
    """Permissions of the user that SSOSessionMiddleware found."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        """Prove nobody: `identity.services.login` is the only way in."""

    def get_user(self, user_id: int) -> User | None:
        """Return a user who may act, for Django's own machinery."""
        user = User.objects.select_related("tenant").filter(pk=user_id).first()
        return user if user is not None and user.is_usable else None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether an operator may do this kind of thing, and to this row."""
        if not getattr(user_obj, "is_staff", False) or not user_obj.is_usable:
            return False
        app_label, _dot, codename = perm.partition(".")
        action, _underscore, model = codename.partition("_")
        if app_label in _INSTALLATION_APPS or (model in _INSTALLATION_MODELS and action != "view"):
            return False
        tenant_id = getattr(obj, "tenant_id", None)
        return tenant_id is None or tenant_id == user_obj.tenant_id

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether an operator may open an app in the admin."""
        is_operator = getattr(user_obj, "is_staff", False) and user_obj.is_usable
        return bool(is_operator) and app_label not in _INSTALLATION_APPS
