"""The own profile (OneAccess-3.2.9)."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request as HttpCall
from rest_framework.response import Response

from identity.directory import users
from identity.events import EventType
from identity.messaging import phone
from identity.models import AttributeEditor, User
from identity.views.product_api import read_document
from sdk_api import persons
from sdk_api.views.base import SignedView


def spell(user: User, *, country: str) -> dict[str, Any]:
    """Return the contract's members, in its order. Neither a code nor a password is ever among them (D05).

    country: the tenant's, in which numbers are told as they are dialled.
    """
    members = {
        "user_name": user.user_name,
        "name": user.name,
        "mobile": phone.bare(user.mobile, country=country),
        "email": user.email,
        "head_img": user.picture_url,
        "attr_gender": user.gender,
        "attr_birthday": user.birth_date.isoformat() if user.birth_date else "",
        "attr_nick_name": user.nick_name,
        "first_name": user.first_name,
        "middle_name": user.middle_name,
        "last_name": user.last_name,
        "extension": user.extension,
    }
    return {name: value for name, value in members.items() if value}


class ProfileView(SignedView):
    """OneAccess-3.2.9.1."""

    def get(self, request: HttpCall) -> Response:
        """Tell the user of the session who they are."""
        return Response(spell(self.session.user, country=phone.country_of(self.caller.tenant)))


class UpdateView(SignedView):
    """OneAccess-3.2.9.2. Password, mobile and e-mail are not changed here: what comes of them is ignored (D04)."""

    event = EventType.USER_UPDATE

    def post(self, request: HttpCall) -> Response:
        """Change what is sent."""
        user = self.session.user
        changes = persons.read(read_document(self.http))
        users.update(user=user, editor=AttributeEditor.USER, actor=user, context=self.context, **changes)
        return Response()
