"""The members that a registration and a profile have in common (RegisterRequest, ProfileUpdateRequest, Profile)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from identity.errors import ValueInvalid, ValueRequired

ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "user_name": "user_name",
        "name": "name",
        "head_img": "picture_url",
        "attr_gender": "gender",
        "attr_birthday": "birth_date",
        "attr_nick_name": "nick_name",
        "first_name": "first_name",
        "middle_name": "middle_name",
        "last_name": "last_name",
    }
)


def read(document: Mapping[str, Any]) -> dict[str, Any]:
    """Read what the body says of a person, by the names of our attributes; null is as good as absent.

    Types are checked where the values are. Raises ValueInvalid (USER.0056) for an extension that is no object.
    """
    found = {ours: document[wire] for wire, ours in ATTRIBUTES.items() if document.get(wire) is not None}
    extension = document.get("extension")
    if extension is not None:
        if not isinstance(extension, dict):
            raise ValueInvalid("USER.0056", "extension", log_detail="extension is no object")
        found["extension"] = {name: value for name, value in extension.items() if value is not None}
    return found


def read_password(document: Mapping[str, Any]) -> str:
    """Read the password of a registration, "" for none. Raises ValueRequired (PWD.0008) for what is no text."""
    password = document.get("pwd")
    if password is not None and not isinstance(password, str):
        raise ValueRequired("PWD.0008", log_detail="pwd is no text")
    return password or ""
