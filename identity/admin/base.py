"""What every admin page of Monban has in common: tenant scope, audit, step-up, and no secrets.

A subclass says where its rows keep their tenant (`tenant_lookup`), and writes them by a service or not at all.
Operators see and reach their own tenant's rows only; superusers see all (decision 39). Foreign keys are never select
boxes and lists never count exactly, as tables are large.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from django.contrib import messages
from django.contrib.admin.utils import get_fields_from_path
from django.core.exceptions import FieldDoesNotExist, PermissionDenied, ValidationError
from django.db import models, transaction
from django.forms import BooleanField, Form, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.admin import StackedInline as UnfoldStackedInline
from unfold.admin import TabularInline as UnfoldTabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.paginator import InfinitePaginator as CountlessPaginator
from unfold.widgets import UnfoldBooleanSwitchWidget

from identity.context import RequestContext
from identity.errors import IdentityError
from identity.http import typed
from identity.models import Tenant, User
from identity.sign_in import reauthentication

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MASK = "•••"


def is_password_confirmed(request: HttpRequest, *, with_grace: bool = False) -> bool:
    """Tell whether the operator typed the password lately; with grace, for a form that was opened in time."""
    session = typed(request).sso_session
    return session is not None and reauthentication.is_recently_confirmed(session, with_grace=with_grace)


def ask_for_password(request: HttpRequest) -> HttpResponse:
    """Send the operator to the page that asks for the password and comes back here."""
    return HttpResponseRedirect(
        f"{reverse('identity:confirm_password')}?{urlencode({'next': request.get_full_path()})}"
    )


def context_of(request: HttpRequest) -> RequestContext:
    """Return the request's facts for services."""
    return typed(request).context


def operator_of(request: HttpRequest) -> User:
    """Return who acts. The site lets nobody else in."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


class Writer(TypedDict):
    """Who writes, as services are told."""

    context: RequestContext
    actor: User


def writer_of(request: HttpRequest) -> Writer:
    """Return who writes by this request."""
    return {"context": context_of(request), "actor": operator_of(request)}


class OwnRowsOnly:
    """Foreign keys offer, and forms take, only rows that the operator may see, found by typing and not in a list."""

    def get_autocomplete_fields(self, request: HttpRequest) -> list[str]:
        # There may be a thousand tenants, and any number of whatever they hold.
        names = list(super().get_autocomplete_fields(request))  # type: ignore[misc]
        registry = self.admin_site._registry  # type: ignore[attr-defined]
        for field in self.opts.concrete_fields:  # type: ignore[attr-defined]
            other = registry.get(field.related_model) if field.is_relation and field.editable else None
            if other is not None and other.search_fields and field.name not in names:
                names.append(field.name)
        return names

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        related_admin = self.admin_site._registry.get(db_field.remote_field.model)  # type: ignore[attr-defined]
        if "queryset" not in kwargs and isinstance(related_admin, TenantScoped):
            kwargs["queryset"] = related_admin.get_queryset(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]


class WrittenInline(OwnRowsOnly):
    """Rows below a row. A service writes and audits them, as it does for the APIs (S50)."""

    extra = 0

    def write(self, formset: Any, *, parent: Any, by: Writer) -> None:
        """Write what the formset holds through a service. Raises IdentityError or ValidationError."""
        raise NotImplementedError


class TabularInline(WrittenInline, UnfoldTabularInline):
    """Rows below a row."""


class StackedInline(WrittenInline, UnfoldStackedInline):
    """Rows below a row, each a form of its own."""


class TenantScoped(OwnRowsOnly, ModelAdmin):
    """Rows of the operator's tenant. The base of all our admin pages."""

    tenant_lookup: ClassVar[str] = "tenant"
    hidden_fields: ClassVar[tuple[str, ...]] = ()  # never shown, never audited in clear
    is_sensitive: ClassVar[bool] = False  # adding, changing and deleting ask for the password first
    superuser_only: ClassVar[bool] = False
    fixed_fields: ClassVar[tuple[str, ...]] = ()  # set when a row is made, and never again (S37)

    ordering = ("id",)
    show_full_result_count = False
    list_per_page = 50
    list_fullwidth = True
    show_facets = "NEVER"

    # Scope

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        queryset: models.QuerySet[Any] = super().get_queryset(request)
        if request.user.is_superuser:
            return queryset
        if self.superuser_only:
            return queryset.none()
        return queryset.filter(**{self.tenant_lookup: operator_of(request).tenant_id})

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters = list(super().get_list_filter(request))
        if request.user.is_superuser and self._has_tenant and self.tenant_lookup != "pk":
            filters.append((self.tenant_lookup, AutocompleteSelectFilter))
        return filters

    @property
    def _has_tenant(self) -> bool:
        """Whether the rows belong to a tenant at all; sets of rights hold in every one."""
        try:
            get_fields_from_path(self.model, self.tenant_lookup)
        except FieldDoesNotExist:
            return False
        return True

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # S41: Django lets an address filter by any column of the row, so a hash could be guessed letter by letter.
        names = {entry if isinstance(entry, str) else entry[0] for entry in self.list_filter}
        if request is not None and request.user.is_superuser and lookup == f"{self.tenant_lookup}__id__exact":
            return self._has_tenant
        return lookup.partition("__")[0] in names and super().lookup_allowed(lookup, value, request)

    def get_exclude(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        exclude = [*(super().get_exclude(request, obj) or ()), *self.hidden_fields]
        if not request.user.is_superuser and self._has_own_tenant:
            exclude.append("tenant")
        return exclude

    def get_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[Any]:
        # What is excluded is in no form; only a page to look at may still show it.
        left_out = set(self.get_exclude(request, obj)) - set(self.get_readonly_fields(request, obj))
        return [name for name in super().get_fields(request, obj) if name not in left_out]

    @property
    def _has_own_tenant(self) -> bool:
        return self.tenant_lookup == "tenant" and self._has_tenant

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        readonly = list(super().get_readonly_fields(request, obj))
        if obj is not None:
            # S37: a row's owner never changes.
            owners = (("tenant",) if self._has_own_tenant else ()) + self.fixed_fields
            readonly += [name for name in owners if name not in readonly]
        return readonly

    def get_form(
        self, request: HttpRequest, obj: models.Model | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form_class = super().get_form(request, obj, change, **kwargs)
        return type(
            form_class.__name__, (OneTenantFormMixin, form_class), {"operator": request.user, "request": request}
        )

    def _module_allowed(self, request: HttpRequest) -> bool:
        return not self.superuser_only or request.user.is_superuser

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._module_allowed(request) and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._module_allowed(request) and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return self._module_allowed(request) and super().has_add_permission(request, *args)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._module_allowed(request) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._module_allowed(request) and super().has_delete_permission(request, obj)

    # Step-up

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        # Work in a form that was opened in time is not lost to a confirmation that ran out meanwhile.
        is_confirmed = is_password_confirmed(request, with_grace=request.method == "POST")
        if self.is_sensitive and not is_confirmed and self._may_write(request, object_id):
            return ask_for_password(request)
        try:
            answer: HttpResponse = super().changeform_view(request, object_id, *args, **kwargs)
            return answer
        except IdentityError as error:
            messages.error(request, f"{error.message} ({error.error_code})")
            return HttpResponseRedirect(request.get_full_path())
        except ValidationError as error:  # of a service that an inline wrote through; forms show their own
            messages.error(request, " ".join(error.messages))
            return HttpResponseRedirect(request.get_full_path())

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.is_sensitive and not is_password_confirmed(request):
            return ask_for_password(request)
        try:
            answer: HttpResponse = super().delete_view(request, object_id, extra_context)
            return answer
        except IdentityError as error:
            messages.error(request, f"{error.message} ({error.error_code})")
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return HttpResponseRedirect(request.get_full_path())

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        for name, value in getattr(obj, "unusable", {}).items():
            text = _("The stored %(column)s, %(value)s, cannot be used. Until it is saved again, this is in its place.")
            label = self.opts.get_field(name).verbose_name
            messages.warning(request, text % {"column": label, "value": MASK if name in self.hidden_fields else value})
        answer: HttpResponse = super().render_change_form(request, context, *args, obj=obj, **kwargs)
        return answer

    def _may_write(self, request: HttpRequest, object_id: str | None) -> bool:
        return self.has_change_permission(request) if object_id else self.has_add_permission(request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Deleting many at once would step around the services and the password question.
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def confirmed_action(
        self,
        request: HttpRequest,
        object_id: str,
        *,
        title: StrOrPromise,
        text: StrOrPromise,
        perform: Callable[[Any, Form | None], HttpResponse | None],
        form_class: type[Form] | None = None,
        permission: Callable[..., bool] | None = None,
    ) -> HttpResponse:
        """Show what will happen, take the operator's password where it is due, and do it on POST.

        `perform(row, form)` does it through a service and may answer with a page of its own.
        """
        row = get_object_or_404(self.get_queryset(request), pk=object_id)
        if not (permission or self.has_change_permission)(request, row):
            raise PermissionDenied
        if not is_password_confirmed(request):
            return ask_for_password(request)
        form = form_class(request.POST or None, request.FILES or None) if form_class else None
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])
        if request.method == "POST" and (form is None or form.is_valid()):
            try:
                answer = perform(row, form)
            except IdentityError as error:
                messages.error(request, f"{error.message} ({error.error_code})")
                return HttpResponseRedirect(back)
            if answer is not None:
                return answer
            messages.success(request, _("Done: %(title)s.") % {"title": title})
            return HttpResponseRedirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "text": text,
            "form": form,
            "opts": self.opts,
            "original": row,
            "object": row,
            "back": back,
        }
        return TemplateResponse(request, "admin/monban/confirm_action.html", context)

    # A service writes and audits every row. Django's own log, which can be edited, is not written.

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        """Write nothing by the bare form: a page that writes is `WrittenByService`, or it is `ReadOnly`."""
        raise NotImplementedError

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Let the inline write its rows. Nothing else does, so that no row changes without its rules and its audit."""
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []
        if not formset.has_changed():
            return
        inlines = self.get_inline_instances(request, form.instance)
        inline: Any = next(inline for inline in inlines if inline.model is formset.model)
        inline.write(formset, parent=form.instance, by=writer_of(request))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete through a service, where the page lets anybody delete."""
        raise NotImplementedError

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Write nothing: the service has audited it."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Write nothing: the service has audited it."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Write nothing: the service has audited it."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = get_object_or_404(self.get_queryset(request), pk=object_id)
        query = urlencode({"target_id": getattr(row, "public_id", "") or row.pk})
        return HttpResponseRedirect(f"{reverse('admin:identity_auditevent_changelist')}?{query}")


class InfinitePaginator(CountlessPaginator):
    """Pages of a list whose length nobody asks for; newest first, so a page back is newer.

    By this very name the theme knows that there is no number of results to show.
    """

    template_name = "admin/monban/pages.html"


class ServiceForm(ModelForm):
    """A form whose row a service writes, so that its rules and its audit apply as in the APIs."""

    operator: ClassVar[Any]
    request: ClassVar[HttpRequest]

    def apply(self) -> Any:
        """Write what the form holds and return the row. Raises IdentityError or ValidationError."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        # Tried and taken back, so that a refusal of the service is shown at the form and nothing typed is lost.
        try:
            with transaction.atomic():
                self.apply()
                transaction.set_rollback(True)
        except IdentityError as error:
            raise ValidationError(f"{error.message} ({error.error_code})") from error
        except ValidationError as error:
            raise self._at_fields(error) from None
        return data

    def _at_fields(self, error: ValidationError) -> ValidationError:
        """Show errors in columns that this form does not show above it."""
        if not hasattr(error, "error_dict"):
            return error
        placed: dict[str, list[str]] = {}
        for name, texts in error.message_dict.items():
            placed.setdefault(name if name in self.fields else "__all__", []).extend(texts)
        return ValidationError(placed)

    def _post_clean(self) -> None:
        """Leave the row alone: the service checks and writes it, the constraints included."""


class LockoutFields(ModelForm):
    """A form that may demand a second factor or take a way to sign in, and has it confirmed where people are out."""

    accept_lockout = BooleanField(
        label=gettext_lazy("Demand it although people are locked out"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=gettext_lazy(
            "Asked for when people have neither a second factor nor a verified address that a code could go to."
        ),
    )


class WrittenByService:
    """Pages whose form is a ServiceForm."""

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        row = form.apply()
        form.save_m2m = lambda: None
        return row

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Nothing is left to do: the service has written and audited the row."""


class LargeTable(TenantScoped):
    """A table of millions of rows: no count at all, newest first."""

    paginator = InfinitePaginator
    ordering = ("-id",)


class ReadOnly(LargeTable):
    """Rows that operators may look at and only services may write."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class OneTenantFormMixin:
    """A form that refuses to tie rows of two tenants together, whoever posts it."""

    operator: ClassVar[Any]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}  # type: ignore[misc]
        instance = self.instance  # type: ignore[attr-defined]
        if not instance.pk and not self.operator.is_superuser and hasattr(instance, "tenant_id"):
            instance.tenant = self.operator.tenant  # so that constraints are checked against the right tenant
        owner = data.get("tenant") or (tenant_of(instance) if instance.pk or hasattr(instance, "tenant_id") else None)
        tenants = {owner} if owner else set()
        tenants |= {tenant_of(value) for value in data.values() if isinstance(value, models.Model)} - {None}
        if len(tenants) > 1:
            raise ValidationError(_("These rows belong to different tenants."))
        applications = {value.application_id for value in data.values() if hasattr(value, "application_id")}
        applications |= {instance.application_id} if instance.pk and hasattr(instance, "application_id") else set()
        applications |= {data["application"].pk} if data.get("application") else set()
        if len(applications) > 1:
            raise ValidationError(_("These rows belong to different applications."))
        return data


def tenant_of(row: Any) -> Tenant | None:
    """Return the tenant that a row belongs to, through whatever owns it."""
    if isinstance(row, Tenant):
        return row
    for name in ("tenant", "user", "application", "catalogue_entry", "role", "organization", "session", "definition"):
        if getattr(row, f"{name}_id", None) is not None:
            return tenant_of(getattr(row, name))
    return None


__all__ = [
    "LargeTable",
    "LockoutFields",
    "ReadOnly",
    "ServiceForm",
    "StackedInline",
    "TabularInline",
    "TenantScoped",
    "Writer",
    "WrittenByService",
    "ask_for_password",
    "context_of",
    "is_password_confirmed",
    "operator_of",
    "tenant_of",
    "writer_of",
]
