"""Configuration as code: bring tenants, people and applications to what a file says (docs/config.md).

Nothing here writes rows: each section compares and calls the services, so every rule, every refusal and the audit are
those of the admin and the APIs. What belongs to a protocol (an application's `clients`) is a section that its app
registers. What a file says of one tenant is one transaction; a dry run is the same transaction, taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import yaml
from django.core.exceptions import ValidationError
from django.db import transaction

from identity import audit, policies, registry
from identity.context import RequestContext
from identity.directory import accounts, applications, attributes, lists, organizations, roles, tenants, users
from identity.directory.users import Relation
from identity.errors import IdentityError
from identity.events import EventType
from identity.models import (
    AppAccount,
    Application,
    AppRole,
    AppRoleMember,
    Organization,
    Tenant,
    User,
)

ACTOR = "system"
MAX_FILE_BYTES = 10 * 1024 * 1024
# Sections of apps, and where they stand. One whose app is not installed is refused by its name.
TENANT_SECTIONS = ("message_gateways", "message_templates", "api_scopes")
# They name clients or applications, so they come after these.
LATE_TENANT_SECTIONS = ("host_applications", "upstreams")
APPLICATION_SECTIONS = ("clients", "cas_services", "saml_service_providers")

_TENANT_KEYS = (
    "name",
    "logo_url",
    "time_zone",
    "language",
    "localize_errors",
    "allow_registration",
    "encrypt_captcha",
)
_USER_KEYS = (*attributes.BUILT_IN, "email_verified", "phone_number_verified", "address", "extension")
# Our columns say is_…; a file says what it means.
_APPLICATION_COLUMNS = {
    "name": "name",
    "description": "description",
    "logo_url": "logo_url",
    "home_url": "home_url",
    "access": "access",
    "internal": "is_internal",
    "skip_consent": "skip_consent",
    "mfa_mode": "mfa_mode",
    "enabled": "is_active",
}
_DEFINITION_KEYS = ("label", "type", "choices", "pattern", "editable_by", "position")
_DEFINITION_FLAGS = {"required": "is_required", "unique": "is_unique"}


class ConfigError(Exception):
    """The file says something that cannot be. The text names the place and never holds a secret."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path}: {text}" if path else text)
        self.path = path
        self.applied = 0  # documents of the file that were applied before


class SectionHandler(Protocol):
    """What an app registers for its section: bring one entry of the list to what the file says."""

    def __call__(self, entry: Mapping[str, Any], *, parent: Any, plan: Plan, path: str) -> None:
        """Apply one entry.

        parent: the Tenant or the Application in which the section stands. path: the entry's place, for refusals.
        Raises ConfigError; ValidationError and IdentityError are given the path by the caller.
        """


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is, or in a dry run would be, different."""

    subject: str  # for example `application wiki`
    is_new: bool
    details: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # attribute to [before, after]

    def lines(self) -> list[str]:
        """For people. Values arrive masked where they are personal or secret."""
        if self.is_new:
            return [f"+ {self.subject}"]
        return [f"~ {self.subject}: {name}: {pair[0]!r} -> {pair[1]!r}" for name, pair in self.details.items()]


@dataclass
class Plan:
    """One run over one file: where it stands, who it is for, what it changed so far."""

    base_dir: Path  # file names in the file are relative to its own directory
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    context: RequestContext = field(default_factory=lambda: RequestContext(tenant=None, user_agent="apply_config"))

    def created(self, subject: str) -> None:
        """Note that something is new."""
        self.changes.append(Change(subject, is_new=True))

    def changed(self, subject: str, details: Mapping[str, Sequence[Any]]) -> None:
        """Note what is different; nothing when nothing is."""
        if details:
            self.changes.append(Change(subject, is_new=False, details=details))

    def secret(self, value: Any, path: str) -> str:
        """A secret from the file: a text, or `{file: name}` for one that stands alone in a file of its own."""
        if isinstance(value, Mapping):
            check_keys(value, {"file"}, path)
            value = self.read_text(value.get("file"), f"{path}.file").strip("\r\n")
        if not isinstance(value, str) or not value:
            raise ConfigError(path, "is not a text. Write it between quotation marks, or as {file: name}.")
        return value

    def read_text(self, name: Any, path: str) -> str:
        """The text of a file in UTF-8 that the configuration names."""
        try:
            return self.read_bytes(name, path).decode()
        except UnicodeDecodeError as error:
            raise ConfigError(path, f"cannot be read: {type(error).__name__}.") from error

    def read_bytes(self, name: Any, path: str) -> bytes:
        """What is in a file that the configuration names."""
        if not isinstance(name, str) or not name:
            raise ConfigError(path, "is not the name of a file.")
        try:
            return (self.base_dir / name).read_bytes()
        except OSError as error:
            raise ConfigError(path, f"cannot be read: {type(error).__name__}.") from error


# Entry points ----------------------------------------------------------------------------------------------


# Told of each tenant when it is done: how many documents are done, how many there are, and what was changed so far.
Progress = Callable[[int, int, Plan], None]


def apply_file(file: Path, *, dry_run: bool = False, progress: Progress | None = None) -> list[Change]:
    """Apply a YAML file and tell what changed. Several documents in it are applied one after another.

    Raises ConfigError; then nothing was applied of the tenant at which it stands, nor of those behind it.
    """
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError("", f"{file.name} is larger than {MAX_FILE_BYTES} bytes.")
        documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=_Loader))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("", f"{file} cannot be read: {type(error).__name__}.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{file.name}, line {mark.line + 1}" if mark else file.name
        raise ConfigError(place, str(error.problem or "is not YAML.")) from error
    except yaml.YAMLError as error:
        raise ConfigError(file.name, "is not YAML.") from error
    return apply_documents(documents, base_dir=file.resolve().parent, dry_run=dry_run, progress=progress)


def apply_documents(
    documents: Sequence[Any], *, base_dir: Path, dry_run: bool = False, progress: Progress | None = None
) -> list[Change]:
    """Apply documents as they come out of a YAML file.

    Documents of one tenant that follow one another are one transaction, which a dry run takes back: a thousand tenants
    do not hold the locks of all of them, nor of an hour of making keys. The form of every document is judged before the
    first one is applied. progress: called after each transaction.
    """
    plan = Plan(base_dir=base_dir)
    paths = [f"document {number + 1}" if len(documents) > 1 else "" for number in range(len(documents))]
    codes = [_check_document(document, path=path) for document, path in zip(documents, paths, strict=True)]
    done = 0
    for _, numbers in groupby(range(len(documents)), key=codes.__getitem__):
        portion = list(numbers)
        try:
            with transaction.atomic():
                for number in portion:
                    _apply_document(documents[number], plan, path=paths[number])
                if dry_run:
                    transaction.set_rollback(True)
        except ConfigError as error:
            error.applied = 0 if dry_run else done
            raise
        done = portion[-1] + 1
        if progress is not None:
            progress(done, len(documents), plan)
    return plan.changes


_SECTIONS = ("attributes", "organizations", "users")


def _check_document(document: Any, *, path: str) -> str:
    """Judge the form of a document; return the code of its tenant."""
    document = check_mapping(document, path or "the file")
    of_apps = (*TENANT_SECTIONS, *LATE_TENANT_SECTIONS)
    check_sections(document, {"tenant", "applications", *_SECTIONS}, of_apps, path)
    place = f"{path}: tenant" if path else "tenant"
    if "tenant" not in document:
        raise ConfigError(place, "is missing. Name the tenant by its code.")
    return check_text(_tenant_entry(document["tenant"], place), "code", place)


def _tenant_entry(entry: Any, path: str) -> Mapping[str, Any]:
    return check_mapping({"code": entry} if isinstance(entry, str) else entry, path)


def _apply_document(document: Mapping[str, Any], plan: Plan, *, path: str) -> None:
    prefix = f"{path}: " if path else ""
    appliers = (_apply_attribute, _apply_organization, _apply_user)
    sections: dict[str, Callable[..., None]] = dict(zip(_SECTIONS, appliers, strict=True))
    before = len(plan.changes)
    tenant = _apply_tenant(document["tenant"], plan, f"{prefix}tenant")
    for name, apply in sections.items():
        _each(document, name, prefix, partial(apply, tenant, plan))
    _registered(document, TENANT_SECTIONS, prefix, parent=tenant, plan=plan)
    _each(document, "applications", prefix, partial(_apply_application, tenant, plan))
    _registered(document, LATE_TENANT_SECTIONS, prefix, parent=tenant, plan=plan)
    if len(plan.changes) > before:
        audit.record(
            EventType.CONFIG_APPLY,
            tenant=tenant,
            actor=ACTOR,
            target=tenant,
            context=plan.context,
            details={"changes": len(plan.changes) - before},
        )


# Checking shapes -------------------------------------------------------------------------------------------


def check_mapping(value: Any, path: str) -> Mapping[str, Any]:
    """Refuse what is not `name: value` lines."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ConfigError(path, "is not a list of `name: value` lines.")
    return value


def check_list(value: Any, path: str) -> list[Any]:
    """Refuse what is not a list. Nothing at all is an empty one, as YAML reads a name without a value."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ConfigError(path, "is not a list.")
    return value


def check_text(entry: Mapping[str, Any], name: str, path: str, *, default: str | None = None) -> str:
    """The text of a name that must be there, unless it has a default."""
    value = entry.get(name, default)
    if value is None:
        raise ConfigError(f"{path}.{name}", "is missing.")
    if not isinstance(value, str) or (not value and default is None):
        raise ConfigError(f"{path}.{name}", "is not a text. Write it between quotation marks.")
    return value


def check_flag(entry: Mapping[str, Any], name: str, path: str) -> bool | None:
    """The yes or no of a name, None when it is not there."""
    value = entry.get(name)
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f"{path}.{name}", "is neither true nor false.")
    return value


def check_keys(entry: Mapping[str, Any], known: set[str], path: str) -> None:
    """Refuse names that nobody reads: a typing error would look like success."""
    unknown = sorted(set(entry) - known)
    if unknown:
        raise ConfigError(".".join(filter(None, [path, unknown[0]])), "is not known here.")


def check_sections(entry: Mapping[str, Any], known: set[str], sections: Sequence[str], path: str) -> None:
    """Refuse unknown names, and sections of apps that are not installed."""
    check_keys(entry, known | set(sections), path)
    for name in sections:
        if name in entry:
            try:
                registry.config_section(name)
            except registry.SectionNotBuilt as error:
                raise ConfigError(".".join(filter(None, [path, name])), str(error)) from error


@contextmanager
def refusals_at(path: str) -> Iterator[None]:
    """Say where in the file stands what a service refused."""
    try:
        yield
    except IdentityError as error:
        raise ConfigError(path, f"{error.error_code} {error.message}") from error
    except ValidationError as error:
        if hasattr(error, "error_dict"):
            name, texts = next(iter(error.message_dict.items()))
            place = path if name == "__all__" else f"{path}.{_spelling(name)}"
            raise ConfigError(place, " ".join(texts)) from error
        raise ConfigError(path, " ".join(error.messages)) from error


def _spelling(column: str) -> str:
    """How the file spells a column."""
    spellings = {column: name for name, column in {**_APPLICATION_COLUMNS, **_DEFINITION_FLAGS}.items()}
    return spellings.get(column, column)


def _each(document: Mapping[str, Any], name: str, prefix: str, apply: Callable[[Mapping[str, Any], str], None]) -> None:
    for number, entry in enumerate(check_list(document.get(name), f"{prefix}{name}")):
        path = f"{prefix}{name}[{number}]"
        with refusals_at(path):
            apply(check_mapping(entry, path), path)


def _registered(entry: Mapping[str, Any], names: Sequence[str], prefix: str, *, parent: Any, plan: Plan) -> None:
    for name in names:
        if name not in entry:
            continue
        handler: SectionHandler = registry.config_section(name)

        def apply(part: Mapping[str, Any], path: str, handler: SectionHandler = handler) -> None:
            handler(part, parent=parent, plan=plan, path=path)

        _each(entry, name, prefix, apply)


class _Loader(yaml.SafeLoader):
    """Plain data only, and no name twice: YAML would silently take the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping."""
        seen = set()
        for key_node, _value in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f'has "{key_node.value}" twice.', key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


# The tenant ------------------------------------------------------------------------------------------------


def _apply_tenant(entry: Any, plan: Plan, path: str) -> Tenant:
    entry = _tenant_entry(entry, path)
    check_keys(
        entry,
        {"code", "enabled", "domains", "default", "password_policy", "session_policy", "message_policy", *_TENANT_KEYS},
        path,
    )
    code = check_text(entry, "code", path)
    values = {name: entry[name] for name in _TENANT_KEYS if name in entry}
    is_enabled = check_flag(entry, "enabled", path)
    if is_enabled is not None:
        values["is_active"] = is_enabled
    is_default = check_flag(entry, "default", path)
    domains = check_list(entry["domains"], f"{path}.domains") if "domains" in entry else None
    if not all(isinstance(host, str) for host in domains or []):
        raise ConfigError(f"{path}.domains", "is not a list of host names.")
    with refusals_at(path):
        tenant = tenants.find_by_code(code)
        if tenant is None:
            tenant = tenants.create(
                code=code,
                context=plan.context,
                actor=ACTOR,
                domains=domains or [],
                is_default=(code == "default" or bool(is_default)) and tenants.find_default() is None,
                **values,
            )
            plan.created(f"tenant {code}")
        else:
            changes = tenants.update(tenant=tenant, context=plan.context, actor=ACTOR, domains=domains, **values)
            spelled = {"enabled" if name == "is_active" else name: pair for name, pair in changes.items()}
            plan.changed(f"tenant {code}", spelled)
    if not tenant.domains.exists():
        plan.warnings.append(
            f"tenant {code} has no domain: only APIs on the shared host reach it, and loopback in development."
        )
    if is_default is not None and is_default != tenant.is_default:
        raise ConfigError(f"{path}.default", "cannot be changed: another tenant, or this one, is the default.")
    _apply_policies(entry, tenant, plan, path)
    return tenant


def _apply_policies(entry: Mapping[str, Any], tenant: Tenant, plan: Plan, path: str) -> None:
    for name, policy in (
        ("password_policy", policies.password_policy(tenant)),
        ("session_policy", policies.session_policy(tenant)),
        ("message_policy", policies.message_policy(tenant)),
    ):
        if name not in entry:
            continue
        place = f"{path}.{name}"
        values = dict(check_mapping(entry[name], place))
        own = {"accept_lockout"} if name == "session_policy" else set()
        check_keys(values, own | {column.name for column in policy._meta.fields} - {"id", "tenant"}, place)
        accepted = bool(check_flag(values, "accept_lockout", place))
        values.pop("accept_lockout", None)
        with refusals_at(place):
            changes = tenants.update_policy(
                policy=policy, context=plan.context, actor=ACTOR, accept_lockout=accepted, **values
            )
            plan.changed(f"tenant {tenant.code} {name}", changes)


def _apply_attribute(tenant: Tenant, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    check_keys(entry, {"name", *_DEFINITION_KEYS, *_DEFINITION_FLAGS}, path)
    name = check_text(entry, "name", path)
    values = {key: entry[key] for key in _DEFINITION_KEYS if key in entry}
    values |= {column: entry[key] for key, column in _DEFINITION_FLAGS.items() if key in entry}
    _definition, is_new, changes = attributes.define(
        tenant=tenant, name=name, context=plan.context, actor=ACTOR, **values
    )
    if is_new:
        plan.created(f"attribute {name}")
        return
    plan.changed(f"attribute {name}", changes)


# Organisations and people ----------------------------------------------------------------------------------


def _apply_organization(tenant: Tenant, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    check_keys(entry, {"code", "name", "parent", "category"}, path)
    code = check_text(entry, "code", path)
    values = {key: check_text(entry, key, path) for key in ("name", "category") if key in entry}
    if "parent" in entry:
        values["parent_id"] = _organization_id(tenant, check_text(entry, "parent", path, default=""), f"{path}.parent")
    organization = Organization.objects.select_related("tenant", "parent").filter(tenant=tenant, code=code).first()
    if organization is None:
        organizations.create(tenant=tenant, context=plan.context, actor=ACTOR, code=code, **{"name": code, **values})
        plan.created(f"organization {code}")
        return
    changes = organizations.update(organization=organization, context=plan.context, actor=ACTOR, **values)
    plan.changed(f"organization {code}", changes)


def _organization_id(tenant: Tenant, code: str, path: str) -> str:
    if not code:
        return ""
    organization = Organization.objects.filter(tenant=tenant, code=code).first()
    if organization is None:
        raise ConfigError(path, f'There is no organization "{code}"; name it before what lies below it.')
    return organization.public_id


def _apply_user(tenant: Tenant, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    own = {"password", "password_must_change", "organization", "organizations", "enabled", "operator", "superuser"}
    check_keys(entry, own | set(_USER_KEYS), path)
    user_name = check_text(entry, "user_name", path)
    values = {name: _plain(entry[name]) for name in _USER_KEYS if name in entry}
    memberships = _memberships(entry, path)
    user = lists.find_user(tenant=tenant, user_name=user_name)
    subject = f"user {user_name}"
    if user is None:
        user = users.create(
            tenant=tenant,
            context=plan.context,
            actor=ACTOR,
            password=plan.secret(entry["password"], f"{path}.password") if "password" in entry else "",
            password_must_change=check_flag(entry, "password_must_change", path) or False,
            **memberships,
            **values,
        )
        plan.created(subject)
        _apply_rights(entry, user, plan, path)
        return
    # The password, and the demand to change it, are for the first time: what people chose since then is theirs.
    changes = users.update(user=user, context=plan.context, actor=ACTOR, **memberships, **values)
    plan.changed(subject, {**changes, **_apply_rights(entry, user, plan, path)})


def _apply_rights(entry: Mapping[str, Any], user: User, plan: Plan, path: str) -> dict[str, list[Any]]:
    """Bring what the person may do to what the file says; what it does not mention stays."""
    changes: dict[str, list[Any]] = {}
    is_operator, is_superuser = check_flag(entry, "operator", path), check_flag(entry, "superuser", path)
    if is_operator is not None or is_superuser is not None:
        changes |= users.set_operator(
            user=user,
            context=plan.context,
            actor=ACTOR,
            is_operator=user.is_staff if is_operator is None else is_operator,
            is_superuser=user.is_superuser if is_superuser is None else is_superuser,
        )
    is_enabled = check_flag(entry, "enabled", path)
    if is_enabled is not None:
        switch = users.enable if is_enabled else users.disable
        if switch(user=user, context=plan.context, actor=ACTOR):
            changes["enabled"] = [not is_enabled, is_enabled]
    return changes


def _memberships(entry: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The primary organisation as `organization`; further ones as `organizations`, which then is the whole list."""
    primary = check_text(entry, "organization", path, default="")
    if "organizations" not in entry:
        return {"organization_code": primary}
    others = check_list(entry["organizations"], f"{path}.organizations")
    if not primary:
        raise ConfigError(f"{path}.organizations", "needs `organization`, the primary one.")
    relations = [Relation(primary, is_primary=True)]
    relations += [Relation(str(code)) for code in others if code != primary]
    return {"organization_code": primary, "relations": relations}


def _plain(value: Any) -> Any:
    """YAML reads an unquoted 1990-01-31 as a date; rules compare texts and dates alike."""
    return value.isoformat() if isinstance(value, date) else value


# Applications ----------------------------------------------------------------------------------------------


def _apply_application(tenant: Tenant, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    known = {"code", "accounts", "roles", "accept_lockout", *_APPLICATION_COLUMNS}
    check_sections(entry, known, APPLICATION_SECTIONS, path)
    code = check_text(entry, "code", path)
    values = {column: entry[key] for key, column in _APPLICATION_COLUMNS.items() if key in entry}
    values["accept_lockout"] = bool(check_flag(entry, "accept_lockout", path))
    application = lists.find_application(tenant=tenant, code=code)
    if application is None:
        application = applications.create(tenant=tenant, context=plan.context, actor=ACTOR, code=code, **values)
        plan.created(f"application {code}")
    else:
        changes = applications.update(application=application, context=plan.context, actor=ACTOR, **values)
        plan.changed(f"application {code}", {_spelling(name): pair for name, pair in changes.items()})
    # The rows below look at their application's tenant; it is this one, not another copy.
    application.tenant = tenant
    _each(entry, "roles", f"{path}.", partial(_apply_role, application, plan))
    _each(entry, "accounts", f"{path}.", partial(_apply_account, application, plan))
    _registered(entry, APPLICATION_SECTIONS, f"{path}.", parent=application, plan=plan)


def _apply_role(application: Application, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    check_keys(entry, {"code", "name"}, path)
    code, name = check_text(entry, "code", path), check_text(entry, "name", path, default="")
    role = AppRole.objects.select_related("application__tenant").filter(application=application, code=code).first()
    subject = f"application {application.code} role {code}"
    if role is None:
        roles.create(application=application, context=plan.context, actor=ACTOR, code=code, name=name or None)
        plan.created(subject)
        return
    before = role.name
    if name and roles.update(role=role, context=plan.context, actor=ACTOR, name=name):
        plan.changed(subject, {"name": [before, name]})


def _apply_account(application: Application, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    check_keys(entry, {"user_name", "account_name", "name", "enabled", "roles", "extension"}, path)
    user_name = check_text(entry, "user_name", path)
    user = lists.find_user(tenant=application.tenant, user_name=user_name)
    if user is None:
        raise ConfigError(f"{path}.user_name", f'There is no user "{user_name}".')
    values: dict[str, Any] = {key: check_text(entry, key, path) for key in ("account_name", "name") if key in entry}
    if "extension" in entry:
        values["extension"] = check_mapping(entry["extension"], f"{path}.extension")
    is_enabled = check_flag(entry, "enabled", path)
    if is_enabled is not None:
        values["is_active"] = is_enabled
    subject = f"application {application.code} account {user_name}"
    account = accounts.find_for(application=application, user=user)
    if account is None:
        account = accounts.create(application=application, user=user, context=plan.context, actor=ACTOR, **values)
        plan.created(subject)
    else:
        changed = accounts.update(account=account, context=plan.context, actor=ACTOR, **values)
        plan.changed(subject, {name: ["***", "***"] for name in changed})
    if "roles" in entry:
        _apply_account_roles(check_list(entry["roles"], f"{path}.roles"), account, plan, f"{path}.roles", subject)


def _apply_account_roles(codes: list[Any], account: AppAccount, plan: Plan, path: str, subject: str) -> None:
    """Let the account hold exactly these roles."""
    known = {role.code: role for role in AppRole.objects.filter(application=account.application_id)}
    missing = [code for code in codes if code not in known]
    if missing:
        raise ConfigError(path, f'There is no role "{missing[0]}" in this application.')
    held = set(AppRoleMember.objects.filter(account=account).values_list("role__code", flat=True))
    for code in sorted(held ^ set(codes)):
        change = roles.add_members if code in codes else roles.remove_members
        role = known[code]
        role.application = account.application
        change(role=role, account_ids=[account.public_id], context=plan.context, actor=ACTOR)
    if held != set(codes):
        plan.changed(subject, {"roles": [sorted(held), sorted(set(codes))]})
