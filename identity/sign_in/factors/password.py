"""The password, after a sign-in that began with a code: what one knows beside what one has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from identity import assurance
from identity.context import RequestContext
from identity.models import LoginTransaction, SessionKind, SignInMethod, User
from identity.sign_in import authentication
from identity.sign_in.factors.base import Begun, Factor
from identity.sign_in.forms import PasswordForm


class PasswordAnswer(Factor):
    """Whoever knows the password. Nobody enrols it, so the tenant's list of kinds does not name it."""

    name = SignInMethod.PASSWORD
    amr = assurance.PASSWORD
    channels = frozenset({SessionKind.BROWSER})
    form = PasswordForm
    template = "identity/login_password.html"

    def is_enrolled(self, user: User) -> bool:
        """Return whether the person has a password."""
        return user.has_usable_password()

    def hint(self, user: User) -> str:
        """Return what it is called."""
        return _("your password")

    def choice(self, user: User) -> str:
        """Return what the button says that chooses it."""
        return _("Use your password instead")

    def begin(self, row: LoginTransaction, *, user: User, context: RequestContext) -> Begun:
        """Ask for it; there is nothing to be sent."""
        return Begun()

    def find_begun(self, row: LoginTransaction, *, user: User) -> Begun | None:
        """Return that it may be answered at any time."""
        return Begun()

    def check(
        self, row: LoginTransaction, response: Mapping[str, Any], *, user: User, context: RequestContext
    ) -> Sequence[str]:
        """Check the password. Raises SystemBusy and CredentialsRefused too."""
        authentication.check_password_of(user, password=response["password"], context=context)
        return (self.amr,)
