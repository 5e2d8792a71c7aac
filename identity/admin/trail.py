"""The audit trail: read, never written."""

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from identity.admin.base import ReadOnly
from identity.models import AuditBatch, AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly):
    list_display = ("moment", "event_type", "outcome", "reason", "short_actor", "short_target", "client_id", "tenant")
    list_filter = ("outcome",)
    list_select_related = ("tenant",)
    # Exact look-ups on indexed columns only: the table is the largest one.
    search_fields = ("=actor_id", "=target_id", "=client_id", "=sid", "=request_id", "=event_type")
    search_help_text = _("Whole id of an actor, target, client, session or request, or an event such as token:grant")
    fields = (
        "tenant",
        "at",
        "event_type",
        "outcome",
        "reason",
        "actor",
        "target",
        "application_id",
        "client_id",
        "dialect",
        "sid",
        "request_id",
        "changes_table",
        "details_text",
        "personal_text",
        "batch",
    )
    readonly_fields: ClassVar[tuple[str, ...]] = fields

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in ("target_id", "actor_id", "sid", "client_id") or super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("at"))
    def moment(self, event: AuditEvent) -> SafeString:
        return format_html("<span class='whitespace-nowrap'>{}</span>", f"{timezone.localtime(event.at):%F %T}")

    @admin.display(description=_("actor"))
    def short_actor(self, event: AuditEvent) -> str:
        return _short(event.actor_type, event.actor_id)

    @admin.display(description=_("target"))
    def short_target(self, event: AuditEvent) -> str:
        return _short(event.target_type, event.target_id)

    @admin.display(description=_("actor"))
    def actor(self, event: AuditEvent) -> str:
        return f"{event.actor_type} {event.actor_id}".strip()

    @admin.display(description=_("target"))
    def target(self, event: AuditEvent) -> str:
        return f"{event.target_type} {event.target_id}".strip()

    @admin.display(description=_("before and after"))
    def changes_table(self, event: AuditEvent) -> SafeString | str:
        if not isinstance(event.changes, dict):
            return _text(event.changes)  # rows are never written again, so what older versions wrote has to be shown
        if not event.changes:
            return "-"
        rows = format_html_join(
            "",
            "<tr><th scope='row' class='pr-4 text-left'>{}</th><td class='pr-4'>{}</td><td>{}</td></tr>",
            ((name, *map(_text, _pair(value))) for name, value in sorted(event.changes.items())),
        )
        return format_html(
            "<table><thead><tr><th></th><th class='pr-4 text-left'>{}</th><th class='text-left'>{}</th></tr></thead>"
            "<tbody>{}</tbody></table>",
            _("before"),
            _("after"),
            rows,
        )

    @admin.display(description=_("details"))
    def details_text(self, event: AuditEvent) -> str:
        return _text(event.details)

    @admin.display(description=_("personal data"))
    def personal_text(self, event: AuditEvent) -> str:
        return _text(event.personal)


@admin.register(AuditBatch)
class AuditBatchAdmin(ReadOnly):
    list_display = ("number", "tenant", "row_count", "hash", "created_at")
    list_select_related = ("tenant",)
    fields = ("tenant", "number", "row_count", "previous_hash", "hash", "created_at")
    readonly_fields = fields


def _short(kind: str, identifier: str) -> str:
    """Return the end of a long id: its beginning is the time, which another column shows."""
    return f"{kind} …{identifier[-9:]}" if len(identifier) > 16 else f"{kind} {identifier}".strip()


def _pair(value: Any) -> list[Any]:
    """Return before and after. Older events of new clients have the values alone."""
    return value if isinstance(value, list) and len(value) == 2 else [None, value]


def _text(value: Any) -> str:
    if value in (None, "", {}, []):
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
