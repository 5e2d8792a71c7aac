"""Configuration as code: bring tenants, people and applications to what a file says (docs/config.md).

Nothing here writes rows: each section compares and calls the services, so every rule, every refusal and the audit are
those of the admin and the APIs. What belongs to a protocol (an application's `clients`) is a section that its app
registers. What a file says of one tenant is one transaction; a dry run is the same transaction, taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from django.db import transaction

from identity import audit
from identity.configuration.applications import apply_application
from identity.configuration.people import apply_organization, apply_user
from identity.configuration.plan import ACTOR, LATE_TENANT_SECTIONS, TENANT_SECTIONS, Change, Plan, apply_registered
from identity.configuration.shapes import ConfigError, check_mapping, check_sections, check_text, for_each
from identity.configuration.tenants import apply_attribute, apply_tenant, tenant_entry
from identity.events import EventType

MAX_FILE_BYTES = 10 * 1024 * 1024

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
    return check_text(tenant_entry(document["tenant"], place), "code", place)


def _apply_document(document: Mapping[str, Any], plan: Plan, *, path: str) -> None:
    prefix = f"{path}: " if path else ""
    appliers = (apply_attribute, apply_organization, apply_user)
    sections: dict[str, Callable[..., None]] = dict(zip(_SECTIONS, appliers, strict=True))
    before = len(plan.changes)
    tenant = apply_tenant(document["tenant"], plan, f"{prefix}tenant")
    for name, apply in sections.items():
        for_each(document, name, prefix, partial(apply, tenant, plan))
    apply_registered(document, TENANT_SECTIONS, prefix, parent=tenant, plan=plan)
    for_each(document, "applications", prefix, partial(apply_application, tenant, plan))
    apply_registered(document, LATE_TENANT_SECTIONS, prefix, parent=tenant, plan=plan)
    if len(plan.changes) > before:
        audit.record(
            EventType.CONFIG_APPLY,
            tenant=tenant,
            actor=ACTOR,
            target=tenant,
            context=plan.context,
            details={"changes": len(plan.changes) - before},
        )


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
