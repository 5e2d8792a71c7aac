"""Pieces of the wire: what a member of a request may be, and how ids and times are written.

A field checks shape only and never says "required": a member that is missing is empty, and emptiness is judged by the
service, which knows the code (decision 44). `read` raises IdentityError with the code of its member.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from identity.directory.users import Relation
from identity.errors import NotFound, ValueInvalid

UNKNOWN_ID = "-"  # no row has it
_ID = re.compile(r"[0-9A-Za-z_.-]{1,64}")


# Members of requests ---------------------------------------------------------------------------------------


def invalid(name: str) -> ValueInvalid:
    """Return the refusal of a member that is not of its type, and has no code of its own in the table."""
    return ValueInvalid("USER.0056", name, log_detail="type")


class Text(serializers.CharField):
    """A text; a number is one, too. `invalid`: the code for anything else."""

    def __init__(self, *, invalid: str = "", **options: Any) -> None:
        super().__init__(**{"allow_blank": True, **options})
        self.invalid_code = invalid

    def read(self, value: Any) -> str:
        """Read the value. Raises ValueInvalid."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueInvalid(self.invalid_code, log_detail="not a text")
        return str(value)


class Attribute(serializers.CharField):
    """A user's attribute: passed on as it is, the rules of attributes judge it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_blank": True, **options})

    def read(self, value: Any) -> Any:
        """Whatever was sent."""
        return value


class Choice(serializers.ChoiceField):
    """The same, with its values named in the schema."""

    def read(self, value: Any) -> Any:
        """Whatever was sent."""
        return value


class Id(serializers.CharField):
    """An id. One that cannot be any is nobody's, so that it is looked for and not found."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_blank": True, **options})

    def read(self, value: Any) -> str:
        """Read the id, "" for an empty one."""
        return wire_id(value)


class Flag(serializers.BooleanField):
    """true or false, as a text if need be."""

    def read(self, value: Any) -> bool:
        """Read the flag. Raises ValueInvalid (USER.0056 with the member's name)."""
        return read_flag(value, str(self.field_name))


class Extension(serializers.DictField):
    """Custom attributes, name to value. `invalid`: the code for anything that is no object."""

    def __init__(self, *, invalid: str = "USER.0056", **options: Any) -> None:
        super().__init__(**options)
        self.invalid_code = invalid

    def read(self, value: Any) -> dict[str, Any]:
        """Read the value. Raises ValueInvalid."""
        if not isinstance(value, dict):
            raise ValueInvalid(self.invalid_code, str(self.field_name), log_detail="not an object")
        return value


class Ids(serializers.ListField):
    """A list of ids. Raises ValueInvalid (PARAM.0029)."""

    def read(self, value: Any) -> list[str]:
        """Read the ids as they were sent: the answer names each of them."""
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise ValueInvalid("PARAM.0029", log_detail="not a list of ids")
        return value


@extend_schema_field({"type": ["integer", "string"], "enum": [0, 1, "0", "1"]})
class RelationType(serializers.Field):
    """0 or 1; the document's table says it is a text, its example sends a number."""


class RelationInput(serializers.Serializer):
    """A membership, by the organisation's code (OneAccess-3.1.3.1)."""

    orgCode = serializers.CharField(help_text="Organization code.")  # noqa: N815 - the wire's own
    relationType = RelationType(help_text="1 for the primary organization.")  # noqa: N815


class Relations(serializers.ListField):
    """Memberships. What is none names no organisation: NotFound (ORG.0001)."""

    child = RelationInput()

    def read(self, value: Any) -> list[Relation]:
        """Read the value. Raises NotFound."""
        if not isinstance(value, list):
            raise NotFound("ORG.0001", log_detail="not a list of memberships")
        return [self._relation(entry) for entry in value]

    @staticmethod
    def _relation(entry: Any) -> Relation:
        code = entry.get("orgCode") if isinstance(entry, dict) else None
        kind = entry.get("relationType") if isinstance(entry, dict) else None
        is_known = kind in (0, 1, "0", "1") and not isinstance(kind, bool)
        if not isinstance(code, str | int) or isinstance(code, bool) or code == "" or not is_known:
            raise NotFound("ORG.0001", log_detail="not a membership")
        return Relation(str(code), is_primary=str(kind) == "1")


def read_flag(value: Any, name: str) -> bool:
    """Read true or false, as a text if need be. Raises ValueInvalid."""
    found = value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if found is None:
        raise invalid(name)
    return found


class Request(serializers.Serializer):
    """The members of a request's document, in the order of their checks."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> dict[str, Any]:
        """Read the members by the services' names. null is as good as absent; a required one that is absent is ""."""
        values: dict[str, Any] = {}
        for name, field in cls._members().items():
            value = document.get(name)
            if value is None and field.required:
                # A required list is judged by its own field; everything else is an empty text.
                value = "" if isinstance(field, serializers.CharField) else []
            if value is not None:
                values[field.source] = field.read(value)
        return values

    @classmethod
    @cache
    def _members(cls) -> Mapping[str, Any]:
        """Return the fields, made once for the process; reading changes nothing in them."""
        return dict(cls().fields)


# Members of answers ----------------------------------------------------------------------------------------


def wire_id(value: Any) -> str:
    """Return an id as it came in a path, a query or a document."""
    if value is None or value == "":
        return ""
    return value if isinstance(value, str) and _ID.fullmatch(value) else UNKNOWN_ID


def wire_time(moment: datetime | None, zone: ZoneInfo) -> str | None:
    """`2022-04-14 10:14:01.988`, in the tenant's time zone."""
    if moment is None:
        return None
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}"
