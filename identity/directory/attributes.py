"""The rules of users' and accounts' attributes: required, pattern, choices, unique, who may edit.

Built-in attributes have rules of their own below; a tenant's AttributeDefinition of the same name replaces them.
Extended attributes exist only as definitions; their values stand in `extension`, by name.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext as _

from identity import audit, crypto, patterns, texts
from identity.context import RequestContext
from identity.errors import AlreadyExists, NotAllowed, ValueInvalid, ValueRequired
from identity.events import EventType
from identity.integrity import assign, refusing
from identity.messaging import phone
from identity.models import (
    Application,
    AttributeDefinition,
    AttributeEditor,
    AttributeTarget,
    AttributeType,
    Gender,
    IdentityType,
    Tenant,
    UniqueAttributeValue,
    User,
    UserType,
)
from identity.models.users import make_email_key, make_user_key

log = logging.getLogger(__name__)

# What may be changed of a definition. Its name and what it belongs to are its identity (S37).
EDITABLE = ("label", "type", "choices", "is_required", "is_unique", "pattern", "editable_by", "position")
MAX_TEXT_LENGTH = 500  # of an extended attribute
# Decision 3. Anything a tenant's numbering plan allows; only sending demands more.
MOBILE_PATTERN = r"\+?[0-9-]{5,20}"
# What is kept beside the value for comparing may be longer than the value: of a domain, and of some ligatures.
_COMPARED = {"user_name": make_user_key, "email": make_email_key}
_MAX_KEY_LENGTH = 300  # of the columns
_EXTENDED_REQUIRED = "USER.0028"
_EXTENDED_INVALID = "USER.0056"
_EXTENDED_TAKEN = "USER.0035"
_ACCOUNT_UNKNOWN = "APP_ACCOUNT.0007"
# C0 and C1 controls and line separators have no place in a name, an address or a log line; half surrogate pairs are no
# characters, though JSON can carry them.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Rule:
    """What one attribute must be."""

    name: str
    type: str = AttributeType.STRING
    required_code: str = _EXTENDED_REQUIRED
    invalid_code: str = _EXTENDED_INVALID
    # Who must give it when creating. The contracts' tables differ by caller: the management API demands a user name
    # and a mobile number, registration in an app only the number. A tenant's definition is for all or for nobody.
    required_for: frozenset[str] = frozenset()
    is_unique: bool = False
    pattern: str = ""
    choices: tuple[str, ...] = ()
    max_length: int = 150
    editable_by: str = AttributeEditor.API
    # Typed by people and compared by machines: nothing in it may be there that nobody sees (RFC 8265 3.3).
    is_identifier: bool = False
    is_built_in: bool = True
    definition_id: int | None = None
    country: str = phone.DEFAULT_COUNTRY  # of a telephone that is written without one

    def required(self) -> ValueRequired:
        """Return the refusal of an empty value."""
        return ValueRequired(self.required_code, self.name, log_detail=f"attribute={self.name}")

    def invalid(self, why: str = "") -> ValueInvalid:
        """Return the refusal of a value. `why` goes to the log and holds no value."""
        return ValueInvalid(self.invalid_code, self.name, log_detail=f"attribute={self.name} {why}".strip())

    def may_be_edited_by(self, editor: str) -> bool:
        """Tell whether this kind of writer may change the attribute."""
        order = [AttributeEditor.OPERATOR, AttributeEditor.API, AttributeEditor.USER]
        return order.index(AttributeEditor(editor)) <= order.index(AttributeEditor(self.editable_by))


_CHOICE, _DATE, _USER = AttributeType.CHOICE, AttributeType.DATE, AttributeEditor.USER

# In the order in which a form shows them, which is the order of the checks.
BUILT_IN: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        # No white space: it is typed to sign in, and shown between other words.
        Rule(
            "user_name",
            required_code="USER.0008",
            invalid_code="USER.0036",
            required_for=frozenset({AttributeEditor.OPERATOR, AttributeEditor.API}),
            pattern=r"\S+",
            editable_by=_USER,
            is_identifier=True,
        ),
        Rule("name", required_code="USER.0009", invalid_code="USER.0037", editable_by=_USER),
        Rule(
            "mobile",
            required_code="USER.0010",
            invalid_code="USER.0038",
            required_for=frozenset({AttributeEditor.API}),
            pattern=MOBILE_PATTERN,
            max_length=32,
            is_identifier=True,
        ),
        Rule("email", required_code="USER.0011", invalid_code="USER.0039", max_length=254, is_identifier=True),
        Rule("first_name", required_code="USER.0012", invalid_code="USER.0040", editable_by=_USER),
        Rule("middle_name", required_code="USER.0013", invalid_code="USER.0041", editable_by=_USER),
        Rule("last_name", required_code="USER.0014", invalid_code="USER.0042", editable_by=_USER),
        Rule("nick_name", required_code="USER.0015", invalid_code="USER.0043", editable_by=_USER),
        Rule("birth_date", _DATE, "USER.0016", "USER.0044", editable_by=_USER),
        Rule("gender", _CHOICE, "USER.0017", "USER.0045", choices=tuple(Gender.values), editable_by=_USER),
        Rule("identity_type", _CHOICE, "USER.0018", "USER.0046", choices=tuple(IdentityType.values)),
        Rule("identity_number", required_code="USER.0019", invalid_code="USER.0047", max_length=64, is_identifier=True),
        Rule("area", required_code="USER.0020", invalid_code="USER.0048", max_length=64, editable_by=_USER),
        Rule("city", required_code="USER.0021", invalid_code="USER.0049", editable_by=_USER),
        Rule("employee_id", required_code="USER.0022", invalid_code="USER.0050", max_length=64, is_identifier=True),
        Rule("manager", required_code="USER.0024", invalid_code="USER.0052"),
        # The catalogue has no "required" row for it.
        Rule("user_type", _CHOICE, invalid_code="USER.0053", choices=tuple(UserType.values)),
        Rule("hire_date", _DATE, "USER.0026", "USER.0054"),
        Rule("work_place", required_code="USER.0027", invalid_code="USER.0055"),
        # Not of the contract's table: an address that we show, and what OIDCC-5.1 knows beside it.
        Rule("picture_url", pattern=r"https?://[^\s\"'<>\\]+", max_length=500, editable_by=_USER),
        Rule("language", pattern=r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", max_length=16, editable_by=_USER),
        Rule("time_zone", pattern=r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", max_length=64, editable_by=_USER),
    )
}
# What the database keeps unique without a definition, and the refusal.
BUILT_IN_UNIQUE = {
    "user_name": "USER.0029",
    "mobile": "USER.0030",
    "email": "USER.0031",
    "identity_number": "USER.0032",
    "employee_id": "USER.0033",
}


# Reading the rules -----------------------------------------------------------------------------------------


def user_rules(tenant: Tenant) -> dict[str, Rule]:
    """Return every rule for users of the tenant, by name: built-in ones first. One query."""
    rules = dict(BUILT_IN)
    definitions = AttributeDefinition.objects.filter(tenant=tenant, target=AttributeTarget.USER)
    for definition in definitions.order_by("position", "id"):
        rules[definition.name] = _rule(definition)
    rules["mobile"] = replace(rules["mobile"], country=phone.country_of(tenant))
    return rules


def account_rules(application: Application) -> dict[str, Rule]:
    """Return every rule for extended attributes of the application's accounts, by name. One query."""
    definitions = AttributeDefinition.objects.filter(application=application, target=AttributeTarget.ACCOUNT)
    return {definition.name: _rule(definition) for definition in definitions.order_by("position", "id")}


def _rule(definition: AttributeDefinition) -> Rule:
    built_in = BUILT_IN.get(definition.name) if definition.target == AttributeTarget.USER else None
    is_account = definition.target == AttributeTarget.ACCOUNT
    return Rule(
        name=definition.name,
        type=built_in.type if built_in else definition.type,
        required_code=built_in.required_code if built_in else _ACCOUNT_UNKNOWN if is_account else _EXTENDED_REQUIRED,
        invalid_code=built_in.invalid_code if built_in else _ACCOUNT_UNKNOWN if is_account else _EXTENDED_INVALID,
        required_for=_required_for(definition, built_in),
        is_unique=definition.is_unique,
        pattern=definition.pattern or (built_in.pattern if built_in else ""),
        choices=tuple(str(choice) for choice in definition.choices) or (built_in.choices if built_in else ()),
        max_length=built_in.max_length if built_in else MAX_TEXT_LENGTH,
        editable_by=definition.editable_by,
        is_identifier=built_in is not None and built_in.is_identifier,
        is_built_in=built_in is not None,
        definition_id=definition.pk,
    )


def _required_for(definition: AttributeDefinition, built_in: Rule | None) -> frozenset[str]:
    """For all or for nobody where the definition says so; else as it is without one."""
    if definition.is_required is None:
        return built_in.required_for if built_in is not None else frozenset()
    return frozenset(AttributeEditor.values if definition.is_required else ())


# Checking values -------------------------------------------------------------------------------------------


def clean(rule: Rule, value: Any) -> Any:
    """Return the value as it is stored: "" (None for dates) when empty.

    Raises ValueInvalid. Whether it may be empty is another question, see `check_required`.
    """
    if value is None or value == "":
        return None if rule.is_built_in and rule.type == AttributeType.DATE else ""
    if rule.type == AttributeType.DATE:
        return _clean_date(rule, value)
    if rule.type == AttributeType.BOOLEAN:
        return _clean_boolean(rule, value)
    if rule.type == AttributeType.INTEGER:
        return _clean_integer(rule, value)
    return _clean_text(rule, value)


def clean_mobile(mobile: str, *, tenant: Tenant) -> str:
    """Clean a number that somebody typed, by the tenant's rule for it, into the form that is kept. One query.

    Raises ValueRequired (USER.0010) and ValueInvalid (USER.0038).
    """
    definition = AttributeDefinition.objects.filter(tenant=tenant, target=AttributeTarget.USER, name="mobile").first()
    rule = _rule(definition) if definition else BUILT_IN["mobile"]
    number: str = clean(replace(rule, country=phone.country_of(tenant)), mobile)
    if not number:
        raise rule.required()
    return number


def check_required(rules: Mapping[str, Rule], values: Mapping[str, Any], *, editor: str) -> None:
    """Refuse a new row in which something is empty that this kind of writer must give.

    values: built-in and extended attributes together, by name.
    """
    for rule in rules.values():
        if editor in rule.required_for and values.get(rule.name) in (None, ""):
            raise rule.required()


def check_not_emptied(rules: Mapping[str, Rule], changes: Mapping[str, Any]) -> None:
    """Refuse to empty an attribute that anyone must give.

    Only what is being changed: a rule that became stricter does not get in the way of other changes.
    """
    for name, value in changes.items():
        if rules[name].required_for and value in (None, ""):
            raise rules[name].required()


def check_editable(rules: Mapping[str, Rule], names: Iterable[str], *, editor: str) -> None:
    """Refuse to let a kind of writer change what is not theirs to change."""
    for name in names:
        if name in rules and not rules[name].may_be_edited_by(editor):
            raise NotAllowed(rules[name].invalid_code, name, log_detail=f"attribute={name} editor={editor}")


def clean_built_in(rules: Mapping[str, Rule], values: Mapping[str, Any]) -> dict[str, Any]:
    """Check the given built-in attributes, in the order of the rules: of several refusals the same one is told."""
    if unknown := [name for name in values if name not in BUILT_IN]:
        raise TypeError(f"not attributes of a user: {', '.join(sorted(unknown))}")
    return {name: clean(rules[name], values[name]) for name in BUILT_IN if name in values}


def clean_extension(rules: Mapping[str, Rule], extension: Mapping[str, Any]) -> dict[str, Any]:
    """Check the given extended attributes. An undefined name is refused: a typing error would look like success."""
    cleaned = {}
    for name, value in extension.items():
        rule = rules.get(name)
        if rule is None or rule.is_built_in:
            raise ValueInvalid(_EXTENDED_INVALID, str(name)[:64], log_detail="no such attribute")
        cleaned[name] = clean(rule, value)
    return cleaned


def _clean_text(rule: Rule, value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise rule.invalid("not a text")
    text = str(value).strip() if rule.is_identifier else texts.trimmed(str(value))
    if not text:
        return ""
    if len(text) > rule.max_length:
        raise rule.invalid("too long")
    if _CONTROLS.search(text):
        raise rule.invalid("control character")
    if rule.is_identifier and texts.has_invisible(text):
        raise rule.invalid("invisible character")
    if rule.choices and text not in rule.choices:
        raise rule.invalid("not one of the choices")
    _check_pattern(rule, text)
    if rule.name == "mobile" and rule.is_built_in:
        return phone.canonical(text, country=rule.country)
    if rule.name == "email" and rule.is_built_in:
        try:
            validate_email(text)
        except ValidationError:
            raise rule.invalid("not an e-mail address") from None
    if rule.is_built_in and rule.name in _COMPARED and len(_COMPARED[rule.name](text)) > _MAX_KEY_LENGTH:
        raise rule.invalid("too long as compared")
    return text


def _clean_date(rule: Rule, value: Any) -> Any:
    try:
        # Only yyyy-mm-dd: fromisoformat alone would also take week dates.
        day = value if type(value) is date else date.fromisoformat(value) if _is_plain_date(value) else None
    except ValueError:
        day = None
    if day is None or day.year < 1800:
        raise rule.invalid("not a date")
    if rule.name == "birth_date" and rule.is_built_in and day > date.today():  # noqa: DTZ011 - a day, anywhere
        raise rule.invalid("in the future")
    return day if rule.is_built_in else day.isoformat()


def _is_plain_date(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII) is not None


def _clean_boolean(rule: Rule, value: Any) -> bool:
    spellings = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, bool | str) or value not in spellings:
        raise rule.invalid("neither true nor false")
    return spellings[value]


def _clean_integer(rule: Rule, value: Any) -> int:
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    # Beyond 18 digits the databases' JSON functions and many receivers lose precision.
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise rule.invalid("not a whole number")
    _check_pattern(rule, text)
    return int(text)


def _check_pattern(rule: Rule, text: str) -> None:
    try:
        if rule.pattern and not patterns.matches(rule.pattern, text):
            raise rule.invalid("pattern")
    except patterns.PatternUnusable as error:
        # Refused, for nothing says that it fits; and told, for the pattern is at fault.
        log.error("attribute.pattern_unusable", extra={"definition": rule.definition_id, "reason": str(error)})
        raise rule.invalid("unusable pattern") from error


# Unique extended values ------------------------------------------------------------------------------------


def unique_index(tenant_id: int, definition_id: int, value: Any) -> str:
    """Return the blind index by which the database keeps a value of a unique extended attribute unique."""
    text = unicodedata.normalize("NFKC", str(value)).casefold()
    return crypto.blind_index(text, tenant_id=tenant_id, field=f"extension.{definition_id}")


def store_unique_values(*, user: User, rules: Mapping[str, Rule], extension: Mapping[str, Any]) -> None:
    """Keep the rows that make `extension`'s unique values unique. Raises AlreadyExists (USER.0035)."""
    for name, value in extension.items():
        rule = rules[name]
        if not rule.is_unique or rule.definition_id is None:
            continue
        rows = UniqueAttributeValue.objects.filter(definition_id=rule.definition_id, user=user)
        if value == "":
            rows.delete()
            continue
        index = unique_index(user.tenant_id, rule.definition_id, value)
        with _refusing_taken(name):
            if not rows.update(value_index=index):
                UniqueAttributeValue.objects.create(definition_id=rule.definition_id, user=user, value_index=index)


def _refusing_taken(name: str) -> Any:
    return refusing(
        UniqueAttributeValue,
        {"unique_attribute_value": lambda: AlreadyExists(_EXTENDED_TAKEN, name, log_detail=f"attribute={name}")},
    )


# Definitions -----------------------------------------------------------------------------------------------


def define(
    *,
    tenant: Tenant,
    name: str,
    context: RequestContext,
    actor: Any = None,
    target: str = AttributeTarget.USER,
    application: Application | None = None,
    **values: Any,
) -> tuple[AttributeDefinition, bool, dict[str, list[Any]]]:
    """Create or change the definition of an attribute of users, or of one application's accounts.

    Values are kept under the name, so it is what a definition is found by, and stays. values: other fields of
    AttributeDefinition. Answers the row, whether it is new, and what changed, as column to [before, after]; where
    nothing did, nothing is written. Raises django's ValidationError: only operators define attributes, so it is a form
    that shows the refusal. Making an attribute unique takes in the values that exist, and raises AlreadyExists when
    two users share one.
    """
    if application is not None and application.tenant_id != tenant.pk:
        raise ValidationError({"application": _("The application belongs to another tenant.")})  # S36
    if (target == AttributeTarget.ACCOUNT) != (application is not None):
        raise ValidationError({"application": _("An account's attribute belongs to an application, a user's to none.")})
    if unknown := sorted(set(values) - set(EDITABLE)):
        raise ValidationError(_("Not known of an attribute: %(names)s."), params={"names": ", ".join(unknown)})
    with transaction.atomic():
        # By its name alone: a tenant's own attribute of users, or that of this one application.
        row = (
            AttributeDefinition.objects.select_for_update(no_key=True)
            .filter(tenant=tenant, target=target, application=application, name=name)
            .first()
        )
        is_new = row is None
        definition = row or AttributeDefinition(tenant=tenant, target=target, application=application, name=name)
        if is_new and target == AttributeTarget.USER and name in BUILT_IN:
            # What an entry does not speak of stays as it is without one.
            definition.editable_by = BUILT_IN[name].editable_by
        was_unique = not is_new and definition.is_unique
        changes = assign(definition, values)
        if is_new:
            changes = {"name": ["", name], **{field: [None, getattr(definition, field)] for field in values}}
        if changes:
            definition.save()
            if definition.is_unique != was_unique:
                index_existing_values(definition)
            _record(definition, changes, context=context, actor=actor)
    return definition, is_new, changes


def forget(*, definition: AttributeDefinition, context: RequestContext, actor: Any = None) -> None:
    """Take a definition away: values that people have under its name stay, and no rule holds for them any more."""
    gone = {field: [getattr(definition, field), None] for field in EDITABLE}
    with transaction.atomic():
        _record(definition, {"name": [definition.name, ""], **gone}, context=context, actor=actor)
        definition.delete()


def _record(
    definition: AttributeDefinition, changes: Mapping[str, list[Any]], *, context: RequestContext, actor: Any
) -> None:
    audit.record(
        EventType.TENANT_UPDATE,
        tenant=definition.tenant,
        actor=actor,
        target=definition,
        application=definition.application,
        context=context,
        changes={f"attribute.{definition.name}.{field}": pair for field, pair in changes.items()},
    )


def index_existing_values(definition: AttributeDefinition) -> None:
    """Take in the values that exist after an attribute became unique, or forget them after it ceased to be.

    Raises AlreadyExists (USER.0035) when two users share one. In the transaction that changes the definition.
    """
    UniqueAttributeValue.objects.filter(definition=definition).delete()
    if not definition.is_unique:
        return
    holders = User.objects.present().filter(tenant=definition.tenant_id, extension__has_key=definition.name)
    with _refusing_taken(definition.name):
        UniqueAttributeValue.objects.bulk_create(
            (
                UniqueAttributeValue(
                    definition=definition,
                    user_id=pk,
                    value_index=unique_index(definition.tenant_id, definition.pk, extension[definition.name]),
                )
                for pk, extension in holders.values_list("pk", "extension").iterator()
                if extension[definition.name] != ""
            ),
            batch_size=1000,
        )
