"""The first page of the operators: where to go, and what happened lately."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from identity.admin.base import operator_of
from identity.models import AuditEvent, AuditOutcome

# Looked at, newest first. A look at a table of any size costs the same.
LATEST = 300
SHOWN = 8


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add shortcuts and the latest refusals and changes of the operator's tenant."""
    shortcuts = [
        ("oidc_provider.add_client", _("Connect an application"), "add_link", "oidc_provider_client_add"),
        ("identity.add_user", _("Add a user"), "person_add", "identity_user_add"),
        ("identity.view_ssosession", _("Who is signed in"), "devices", "identity_ssosession_changelist"),
        ("identity.view_keypair", _("Keys"), "vpn_key", "identity_keypair_changelist"),
    ]
    context["shortcuts"] = [
        {"title": title, "icon": icon, "link": reverse(f"admin:{name}")}
        for right, title, icon, name in shortcuts
        if request.user.has_perm(right)
    ]
    if request.user.has_perm("identity.view_auditevent"):
        events = list(AuditEvent.objects.filter(tenant=operator_of(request).tenant_id).order_by("-pk")[:LATEST])
        changed = [event for event in events if event.changes and event.actor_type == "user"]
        refused = [event for event in events if event.outcome == AuditOutcome.REFUSED]
        context["latest"] = [
            (_("Latest refusals"), refused[:SHOWN]),
            (_("Latest changes by people"), changed[:SHOWN]),
        ]
    return context
