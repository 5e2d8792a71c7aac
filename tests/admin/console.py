"""The console at work: addresses of rows, and a superuser who opens and sends its forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models
from django.test import Client as Browser
from django.urls import reverse

from identity.models import AuditEvent, Tenant, User
from identity.operator_groups import HELP_DESK
from tests.admin.conftest import fill, sign_in
from tests.factories import make_operator

Data = dict[str, Any]
# What the rows of a test hold and no page may show.
SECRETS = {"mobile": "+8613811112222", "id": "110101199003077777", "handle": "the-handle-that-nobody-may-see"}


def address(row: models.Model, page: str) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}"
    return reverse(name, args=[] if page in ("changelist", "add") else [row.pk])


def detail_addresses(row: models.Model) -> list[str]:
    """Every address that names the row, actions included."""
    model_admin = admin.site._registry[type(row)]
    found = [address(row, page) for page in ("change", "delete", "history")]
    return found + [
        f"{address(row, 'change').removesuffix('change/')}{action.path}/"
        for action in model_admin._get_base_actions_detail()
    ]


class Console:
    """A superuser at work in a tenant that has a row of everything."""

    def __init__(self) -> None:
        self.tenant = Tenant.objects.get()
        self.rows = [*fill(self.tenant, SECRETS), Group.objects.get(name=HELP_DESK)]
        self.operator: User = make_operator(self.tenant, is_superuser=True)
        self.browser: Browser = sign_in(self.operator)

    def row(self, model: type[models.Model]) -> Any:
        return next(row for row in self.rows if type(row) is model)

    def page(self, row: models.Model, name: str = "change") -> str:
        return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])

    def form(self, page: str) -> Data:
        """What a browser would send of the page, unchanged."""
        context = self.browser.get(page).context
        forms = [context["adminform"].form]
        for inline in context["inline_admin_formsets"]:
            forms += [inline.formset.management_form, *inline.formset.forms]
        data: Data = {}
        for form in forms:
            for bound in form:
                value = bound.value()
                if value is not None and value is not False:
                    data[bound.html_name] = "on" if value is True else value
        return data

    def events(self, do: Callable[[], Any], *, status: int = 302) -> list[AuditEvent]:
        """The events of the operator that something left."""
        newest = AuditEvent.objects.latest("pk").pk
        answer = do()
        assert answer.status_code == status, _refusals(answer)
        return list(AuditEvent.objects.filter(pk__gt=newest, actor_id=self.operator.public_id, outcome="success"))


def _refusals(answer: Any) -> Any:
    context = answer.context or {}
    form = context["adminform"].form.errors if "adminform" in context else ""
    return form, [inline.formset.errors for inline in context.get("inline_admin_formsets", ())]
