"""People: written through identity.directory.users, so that every rule and the audit apply here as in the APIs."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from identity import authority, crypto, policies, throttle
from identity.admin.base import (
    LargeTable,
    ServiceForm,
    TenantScoped,
    WrittenByService,
    context_of,
    is_password_confirmed,
    operator_of,
    writer_of,
)
from identity.authority import Change
from identity.directory import groups, users
from identity.errors import PasswordRefused
from identity.messaging import phone
from identity.models import FactorKind, SessionEndReason, Tenant, User
from identity.models.users import make_email_key, make_user_key
from identity.passwords import breaches, credentials
from identity.sign_in import account, enrolment
from identity.sso import access, trusted_devices

# What the form shows of the user's own columns; mobile and identity number are sealed and have fields of their own.
ATTRIBUTES = (
    "user_name",
    "name",
    "email",
    "employee_id",
    "first_name",
    "middle_name",
    "last_name",
    "nick_name",
    "gender",
    "birth_date",
    "identity_type",
    "area",
    "city",
    "manager",
    "user_type",
    "hire_date",
    "work_place",
    "picture_url",
    "language",
    "time_zone",
)
_MAX_ID_LENGTH = 19
SEALED = {"new_mobile": "mobile", "new_identity_number": "identity_number"}
VERIFIED = ("email_verified", "phone_number_verified")
RIGHTS = ("is_staff", "is_superuser", "groups")


class UserForm(ServiceForm):
    """A user's attributes. A sealed value is shown masked and replaced by typing a new one."""

    new_mobile = forms.CharField(
        label=gettext_lazy("New mobile number"), required=False, max_length=32, widget=UnfoldAdminTextInputWidget
    )
    new_identity_number = forms.CharField(
        label=gettext_lazy("New identity number"), required=False, max_length=64, widget=UnfoldAdminTextInputWidget
    )
    organization_code = forms.CharField(
        label=gettext_lazy("Code of the primary organisation"),
        required=False,
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
    )

    class Meta:
        model = User
        fields = (*ATTRIBUTES, *VERIFIED, "extension", "password_must_change")

    def apply(self) -> User:
        """Write what the form holds through the service."""
        values = {name: self.cleaned_data[name] for name in ATTRIBUTES if name in self.cleaned_data}
        # A mark that only stands there from before was given to the old address, and the new one has to earn it.
        values |= {name: self.cleaned_data[name] for name in VERIFIED if name in self.changed_data}
        # ModelForm turns an empty date into None, which the service takes for empty as well.
        values |= {name: self.cleaned_data[field] for field, name in SEALED.items() if self.cleaned_data.get(field)}
        common: dict[str, Any] = {
            "context": context_of(self.request),
            "actor": self.operator,
            "organization_code": self.cleaned_data.get("organization_code", ""),
            "extension": self.cleaned_data.get("extension") or {},
            "password_must_change": bool(self.cleaned_data.get("password_must_change")),
        }
        if self.instance.pk:
            user: User = User.objects.select_related("tenant").get(pk=self.instance.pk)
            users.update(user=user, **common, **values)
        else:
            tenant = self.cleaned_data.get("tenant") or self.operator.tenant
            password = self.cleaned_data.get("password", "")
            user = users.create(tenant=tenant, password=password, **common, **values)
        if "is_superuser" in self.cleaned_data:  # superusers only are shown what a person may do
            users.set_operator(
                user=user,
                is_operator=self.cleaned_data["is_staff"],
                is_superuser=self.cleaned_data["is_superuser"],
                groups=self.cleaned_data["groups"],
                context=common["context"],
                actor=self.operator,
            )
        return user


class NewUserForm(UserForm):
    """A new user, with a first password or none."""

    password = forms.CharField(
        label=gettext_lazy("First password"),
        required=False,
        max_length=128,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("Empty: the user cannot sign in until a password is set."),
    )

    def clean_password(self) -> str:
        """Show what was found out about the password before the page's transaction."""
        refusal: PasswordRefused | None = getattr(self.request, "password_refusal", None)
        if refusal is not None:
            raise ValidationError(f"{refusal.message} ({refusal.error_code})")
        return str(self.cleaned_data["password"])


@admin.register(User)
class UserAdmin(WrittenByService, LargeTable):
    is_sensitive = True
    hidden_fields = (
        "password",
        "mobile_sealed",
        "mobile_index",
        "identity_number_sealed",
        "identity_number_index",
        "user_key",
        "email_key",
    )
    list_display = ("user_name", "name", "email", "masked_mobile", "is_active", "locked_until", "is_staff", "tenant")
    list_filter = ("is_active", "is_staff")
    list_select_related = ("tenant",)
    search_fields = ("=public_id",)
    search_help_text = gettext_lazy(
        "User name or its beginning, or a whole e-mail address, mobile number, employee id or id"
    )
    filter_horizontal = ("groups",)
    actions_detail = ("unlock", "reset_password", "reset_factors", "end_trust", "end_sessions", "switch", "delete_user")
    readonly_fields = (
        "public_id",
        "masked_mobile",
        "masked_identity_number",
        "organizations",
        "second_factors",
        "trusted_browsers",
        "locked_until",
        "password_changed_at",
        "created_at",
        "updated_at",
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[User]:
        return super().get_queryset(request).filter(deleted_at=None)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        is_new = request.method == "POST" and object_id is None and self.has_add_permission(request)
        if is_new and is_password_confirmed(request, with_grace=True):
            request.password_refusal = self._refusal_of_password(request)  # type: ignore[attr-defined]
        return super().changeform_view(request, object_id, *args, **kwargs)

    def _refusal_of_password(self, request: HttpRequest) -> PasswordRefused | None:
        """Look the first password up before the page's transaction, in which nothing is asked of other systems."""
        operator, chosen = operator_of(request), request.POST.get("tenant", "")
        is_chosen = operator.is_superuser and chosen.isascii() and chosen.isdigit() and len(chosen) < _MAX_ID_LENGTH
        tenant = Tenant.objects.filter(pk=chosen).first() if is_chosen else operator.tenant
        try:
            if tenant is not None:
                password = request.POST.get("password", "")
                breaches.check(password, tenant=tenant, context=context_of(request), actor=operator)
        except PasswordRefused as error:
            return error
        return None

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[User], search_term: str
    ) -> tuple[models.QuerySet[User], bool]:
        """Search indexed columns only; a mobile number by its blind index."""
        term = search_term.strip()
        if not term or "\x00" in term:
            return (queryset if not term else queryset.none()), False
        tenants = (
            Tenant.objects.select_related("message_policy")
            if request.user.is_superuser
            else [operator_of(request).tenant]
        )
        mobiles = [phone.mobile_index(term, tenant=tenant) for tenant in tenants]
        found = (
            models.Q(user_key__startswith=make_user_key(term))
            | models.Q(email_key=make_email_key(term))
            | models.Q(mobile_index__in=mobiles)
            | models.Q(employee_id=term)
            | models.Q(public_id=term)
        )
        return queryset.filter(found), False

    # The form

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = UserForm if change else NewUserForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> list[Any]:
        owner = ("tenant",) if request.user.is_superuser else ()
        sets: list[Any] = [
            (None, {"fields": (*owner, "user_name", "name", "email", "email_verified", "employee_id")}),
            (
                _("Contact"),
                {"fields": (*(("masked_mobile",) if obj else ()), "new_mobile", "phone_number_verified")},
            ),
            (
                _("Organisation"),
                {"fields": (*(("organizations",) if obj else ()), "organization_code", "manager", "user_type")},
            ),
            (
                _("Person"),
                {
                    "classes": ["collapse"],
                    "fields": (
                        *ATTRIBUTES[4:10],
                        "identity_type",
                        *(("masked_identity_number",) if obj else ()),
                        "new_identity_number",
                        "area",
                        "city",
                        "hire_date",
                        "work_place",
                        "picture_url",
                        "language",
                        "time_zone",
                        "extension",
                    ),
                },
            ),
        ]
        shown = ("second_factors", "trusted_browsers", "locked_until", "password_changed_at") if obj else ("password",)
        password = ("password_must_change", *shown)
        sets.append((_("Sign-in"), {"fields": password}))
        if request.user.is_superuser:
            sets.append((_("Operator"), {"fields": RIGHTS}))
        if obj:
            sets.append((_("Record"), {"fields": ("public_id", "created_at", "updated_at")}))
        return sets

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The service decides it; a page whose every button would be refused is not offered (S46).
        if isinstance(obj, User) and not authority.may(Change.PASSWORD, user=obj, actor=operator_of(request)):
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # See delete_user: Django's own page would list everything that points here.

    # What the list and the form show

    @admin.display(description=gettext_lazy("mobile number"))
    def masked_mobile(self, user: User) -> str:
        return crypto.mask_mobile(user.mobile) if user.mobile_sealed else "-"

    @admin.display(description=gettext_lazy("identity number"))
    def masked_identity_number(self, user: User) -> str:
        return crypto.mask_id(user.identity_number) if user.identity_number_sealed else "-"

    @admin.display(description=gettext_lazy("organisations"))
    def organizations(self, user: User) -> str:
        rows = user.memberships.select_related("organization").order_by("-is_primary", "pk")
        return ", ".join(f"{row.organization.name} ({row.organization.code})" for row in rows) or "-"

    @admin.display(description=gettext_lazy("second factors"))
    def second_factors(self, user: User) -> str:
        """Tell them one by one, without anything secret."""
        kinds = dict(FactorKind.choices)
        rows = [f"{row.name} ({kinds[FactorKind(row.kind)]})" for row in enrolment.list_of(user)]
        if left := enrolment.recovery_codes_left(user):
            rows.append(_("%(count)d recovery codes") % {"count": left})
        return ", ".join(rows) or "-"

    @admin.display(description=gettext_lazy("trusted browsers"))
    def trusted_browsers(self, user: User) -> str:
        """Tell them one by one, until when each is trusted."""
        rows = trusted_devices.list_of(user)
        return ", ".join(f"{row.user_agent or '-'} ({row.expires_at:%Y-%m-%d})" for row in rows) or "-"

    # Actions

    @action(description=gettext_lazy("Unlock"), url_path="unlock", permissions=["change"])
    def unlock(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lift a lock that failed tries have set."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Unlock"),
            text=_("Failed tries are forgotten and the user may sign in again."),
            perform=lambda user, form: self._unlock(request, user),
        )

    @action(description=gettext_lazy("Reset password"), url_path="reset-password", permissions=["change"])
    def reset_password(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give a generated password, shown once, that has to be changed at the next sign-in."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Reset password"),
            text=_("A new password is made and shown once. The user is signed out everywhere and must choose another."),
            perform=lambda user, form: self._reset_password(request, user),
        )

    @action(description=gettext_lazy("Reset second factors"), url_path="reset-factors", permissions=["change"])
    def reset_factors(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Remove what the person has lost; the next sign-in sets one up anew."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Reset second factors"),
            text=_(
                "Every second factor and recovery code is removed, and the user is signed out everywhere. Where the"
                " tenant asks for a second factor, the next sign-in sets one up. Be sure who is asking for it."
            ),
            perform=lambda user, form: self._reset_factors(request, user),
        )

    @action(description=gettext_lazy("Trust no browser"), url_path="end-trust", permissions=["change"])
    def end_trust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have the second factor asked for again in every browser."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Trust no browser"),
            text=_("The user is asked for the second factor again in every browser, also in those signed in now."),
            perform=lambda user, form: self._end_trust(request, user),
        )

    @action(description=gettext_lazy("End sessions"), url_path="end-sessions", permissions=["change"])
    def end_sessions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Sign the user out everywhere."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("End sessions"),
            text=_("The user is signed out on every browser and device, and the applications are told."),
            perform=lambda user, form: self._end_sessions(request, user),
        )

    @action(description=gettext_lazy("Enable or disable"), url_path="switch", permissions=["change"])
    def switch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Disable an enabled user and the other way round."""
        user = self.get_object(request, object_id)
        is_active = bool(user and user.is_active)
        return self.confirmed_action(
            request,
            object_id,
            title=_("Disable") if is_active else _("Enable"),
            text=_("All sessions and tokens of the user end at once.")
            if is_active
            else _("The user may sign in again."),
            perform=lambda row, form: self._switch(request, row),
        )

    @action(description=gettext_lazy("Delete"), url_path="delete-user", permissions=["change"])
    def delete_user(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Delete the person: personal data is blanked, the names are free again."""
        return self.confirmed_action(
            request,
            object_id,
            title=_("Delete"),
            text=_("Personal data is erased and everything the user was granted ends. This cannot be undone."),
            perform=lambda user, form: self._delete(request, user),
        )

    def _reset_password(self, request: HttpRequest, user: User) -> HttpResponse:
        password = credentials.generate_password(policies.password_policy(user.tenant))
        account.set_password_of(
            user=user, password=password, context=context_of(request), actor=operator_of(request), must_change=True
        )
        context = {
            **self.admin_site.each_context(request),
            "title": _("New password"),
            "text": _("Hand it over on a safe way. It is not shown again."),
            "rows": [(_("User name"), user.user_name, False), (_("Password"), password, True)],
            "back": reverse("admin:identity_user_change", args=[user.pk]),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/monban/shown_once.html", context)

    def _switch(self, request: HttpRequest, user: User) -> None:
        change = users.disable if user.is_active else users.enable
        change(user=user, context=context_of(request), actor=operator_of(request))

    def _unlock(self, request: HttpRequest, user: User) -> None:
        throttle.unlock(user, context=context_of(request), actor=operator_of(request))

    def _reset_factors(self, request: HttpRequest, user: User) -> None:
        enrolment.reset(user=user, context=context_of(request), actor=operator_of(request))

    def _end_trust(self, request: HttpRequest, user: User) -> None:
        trusted_devices.end_all(user=user, context=context_of(request), actor=operator_of(request))

    def _end_sessions(self, request: HttpRequest, user: User) -> None:
        access.revoke_everything(
            user=user,
            reason=SessionEndReason.ENDED_BY_OPERATOR,
            context=context_of(request),
            actor=operator_of(request),
        )

    def _delete(self, request: HttpRequest, user: User) -> HttpResponse:
        users.delete(user=user, context=context_of(request), actor=operator_of(request))
        answer: HttpResponse = self.response_delete(request, user.public_id, str(user.pk))
        return answer


admin.site.unregister(Group)


class GroupForm(ServiceForm):
    """A set of rights."""

    class Meta:
        model = Group
        fields = ("name", "permissions")

    def apply(self) -> Group:
        """Write what the form holds. Raises AuthorityRefused and ValidationError."""
        values, by = {name: self.cleaned_data[name] for name in self.Meta.fields}, writer_of(self.request)
        if self.instance.pk:
            row = Group.objects.get(pk=self.instance.pk)
            groups.update(group=row, **values, **by)
            return row
        return groups.create(**values, **by)


@admin.register(Group)
class GroupAdmin(WrittenByService, TenantScoped):
    """Sets of rights for operators; made by superusers, as they hold in every tenant."""

    form = GroupForm
    superuser_only = True
    is_sensitive = True
    list_display = ("name",)
    search_fields = ("name",)
    filter_horizontal = ("permissions",)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # Named with their model, or each would be asked for by a query of its own.
        kwargs.setdefault("queryset", Permission.objects.select_related("content_type"))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        groups.delete(group=obj, **writer_of(request))
