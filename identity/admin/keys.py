"""Key pairs: looked at, rotated, revoked; private halves are never shown."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from identity.admin.base import ReadOnly, context_of, operator_of
from identity.keyring import keys
from identity.models import KeyPair


@admin.register(KeyPair)
class KeyPairAdmin(ReadOnly):
    list_display = ("kid", "tenant", "use", "alg", "state", "activated_at", "retired_at", "published_until")
    list_filter = ("state", "use", "alg")
    list_select_related = ("tenant",)
    hidden_fields = ("private_sealed",)
    fields = (
        "tenant",
        "kid",
        "use",
        "alg",
        "state",
        "public_jwk",
        "created_at",
        "activated_at",
        "retired_at",
        "published_until",
    )
    readonly_fields = fields
    actions_detail = ("rotate", "revoke")

    def has_rotate_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return bool(request.user.has_perm("identity.change_keypair"))

    @action(description=_("Rotate"), url_path="rotate", permissions=["rotate"])
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make the next key active; the one before stays published until its last token has expired."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Rotate"),
            text=_("The next key becomes active and a new next key is published. No client has to do anything."),
            perform=lambda row, form: self._rotate(request, row),
            permission=self.has_rotate_permission,
        )

    @action(description=_("Revoke at once"), url_path="revoke", permissions=["rotate"])
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take every key of this use and algorithm away: the private half may be known to others."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Revoke at once"),
            text=_("All keys of this use and algorithm are withdrawn now. Tokens they signed are refused by everyone."),
            perform=lambda row, form: self._revoke(request, row),
            permission=self.has_rotate_permission,
        )

    def _rotate(self, request: HttpRequest, row: KeyPair) -> None:
        keys.rotate(
            tenant=row.tenant, use=row.use, alg=row.alg, context=context_of(request), actor=operator_of(request)
        )

    def _revoke(self, request: HttpRequest, row: KeyPair) -> None:
        keys.revoke(
            tenant=row.tenant, use=row.use, alg=row.alg, context=context_of(request), actor=operator_of(request)
        )
