"""People. One model for employees and operators (AUTH_USER_MODEL)."""

import unicodedata
from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.utils.translation import gettext_lazy as _

from identity import crypto
from identity.models.ids import PUBLIC_ID_LENGTH, new_public_id
from identity.models.tenants import Tenant
from identity.texts import domain_key, without_invisible

# A hyphen is punctuation: it does not make another number of it.
_MOBILE_PUNCTUATION = str.maketrans("", "", "- ")


def make_user_key(user_name: str) -> str:
    """Return the form in which user names are compared: NFKC, casefold, nothing that nobody sees (decisions 2, 59)."""
    return without_invisible(unicodedata.normalize("NFKC", user_name)).casefold()


def make_email_key(email: str) -> str:
    """Return the form in which e-mail addresses are compared (decision 3): one for both spellings of a domain."""
    local, at, domain = without_invisible(unicodedata.normalize("NFKC", email)).strip().rpartition("@")
    # Not casefolded: in a domain ß and ss are two letters, as the other spelling keeps them apart.
    return f"{local.casefold()}@{domain_key(domain)}" if at else domain.casefold()


def make_mobile_key(mobile: str) -> str:
    """Return the form in which mobile numbers are compared: without punctuation (decision 3)."""
    return unicodedata.normalize("NFKC", mobile).translate(_MOBILE_PUNCTUATION)


def make_identity_number_key(identity_number: str) -> str:
    """Return the form in which identity numbers are compared: check letters are written in either case."""
    return unicodedata.normalize("NFKC", identity_number).strip().upper()


class Gender(models.TextChoices):
    UNKNOWN = "unknown", _("Unknown")
    MALE = "male", _("Male")
    FEMALE = "female", _("Female")


class IdentityType(models.TextChoices):
    """Identity documents, in the contract's spelling."""

    ID_CARD = "id_card", _("Resident identity card")
    HMT_RESIDENCE_PERMIT = (
        "HongKong_Macau_Taiwan_residence_permit",
        _("Residence permit for Hong Kong, Macao and Taiwan residents"),
    )
    HM_TRAVEL_PERMIT = (
        "mainland_travel_permit_for_HongKong_Macao",
        _("Mainland travel permit for Hong Kong and Macao residents"),
    )
    TAIWAN_TRAVEL_PERMIT = "mainland_travel_permit_for_Taiwan", _("Mainland travel permit for Taiwan residents")
    CHINESE_PASSPORT = "chinese_passport", _("Chinese passport")
    OVERSEAS_PASSPORT = "overseas_passport", _("Overseas passport")
    OVERSEAS_DRIVER_LICENSE = "overseas_driver_license", _("Overseas driver's licence")
    OFFICER_ID = "officer_id", _("Military officer card")
    FOREIGNER_RESIDENCE_PERMIT = "foreigner_residence_permit", _("Foreigner's residence permit")
    OTHER = "other", _("Other")


class UserType(models.TextChoices):
    REGULAR = "regular", _("Regular employee")
    INTERN = "intern", _("Intern")
    DISPATCH = "dispatch", _("Dispatched worker")
    OUTSOURCING = "outsourcing", _("Outsourced worker")


class SealedValue:
    """A sealed column beside its blind index, read and written as one plain attribute (decision 3).

    `user.mobile = "…"` fills `mobile_sealed` and `mobile_index`; the tenant must be set before.
    """

    def __init__(self, name: str, *, make_key: Callable[[str], str]) -> None:
        self.name = name
        self.make_key = make_key

    def __get__(self, user: "User | None", owner: type) -> Any:
        if user is None:
            return self
        sealed = getattr(user, f"{self.name}_sealed")
        return crypto.unseal(sealed, purpose=f"user.{self.name}") if sealed else ""

    def __set__(self, user: "User", value: str) -> None:
        sealed = crypto.seal(value, purpose=f"user.{self.name}") if value else ""
        setattr(user, f"{self.name}_sealed", sealed)
        setattr(user, f"{self.name}_index", self.index(value, tenant_id=user.tenant_id))

    def index(self, value: str, *, tenant_id: int) -> str:
        """Return what to look the value up by: `filter(mobile_index=User.mobile.index(…))`."""
        return crypto.blind_index(self.make_key(value), tenant_id=tenant_id, field=self.name) if value else ""


class UserQuerySet(models.QuerySet["User"]):
    def present(self) -> "UserQuerySet":
        """Leave out deleted rows: their names and ids are not shown to anyone."""
        return self.filter(deleted_at=None)


class UserManager(BaseUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Users are created by identity.directory.users; this manager only reads."""


class User(AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]  # of the toolkit's models
    """A person of one tenant.

    Deleting is soft: personal data is blanked, names are free again, the public id is never reused (decision 2).
    Verified flags are set by a proved code or by an operator, never by the user's own write (S25).
    """

    public_id = models.CharField(_("public id"), max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="users", verbose_name=_("tenant"))
    user_name = models.CharField(_("user name"), max_length=150)
    user_key = models.CharField(_("user name as compared"), max_length=300, editable=False)
    name = models.CharField(_("name"), max_length=150, blank=True, default="")
    email = models.CharField(_("e-mail address"), max_length=254, blank=True, default="")
    email_key = models.CharField(
        _("e-mail address as compared"), max_length=300, blank=True, default="", editable=False
    )
    email_verified = models.BooleanField(_("e-mail address verified"), default=False)
    mobile_sealed = models.TextField(_("mobile number, sealed"), blank=True, default="", editable=False)
    mobile_index = models.CharField(max_length=64, blank=True, default="", editable=False)
    phone_number_verified = models.BooleanField(_("mobile number verified"), default=False)
    employee_id = models.CharField(_("employee id"), max_length=64, blank=True, default="")

    first_name = models.CharField(_("first name"), max_length=150, blank=True, default="")
    middle_name = models.CharField(_("middle name"), max_length=150, blank=True, default="")
    last_name = models.CharField(_("last name"), max_length=150, blank=True, default="")
    nick_name = models.CharField(_("nickname"), max_length=150, blank=True, default="")
    gender = models.CharField(_("gender"), max_length=16, choices=Gender.choices, blank=True, default="")
    birth_date = models.DateField(_("birth date"), null=True, blank=True)
    identity_type = models.CharField(
        _("identity document"), max_length=64, choices=IdentityType.choices, blank=True, default=""
    )
    identity_number_sealed = models.TextField(_("identity number, sealed"), blank=True, default="", editable=False)
    identity_number_index = models.CharField(max_length=64, blank=True, default="", editable=False)
    area = models.CharField(_("country or region"), max_length=64, blank=True, default="")
    city = models.CharField(_("city"), max_length=150, blank=True, default="")
    manager = models.CharField(
        _("immediate supervisor"), max_length=150, blank=True, default=""
    )  # free text on the wire
    user_type = models.CharField(_("user type"), max_length=16, choices=UserType.choices, blank=True, default="")
    hire_date = models.DateField(_("on-boarding date"), null=True, blank=True)
    work_place = models.CharField(_("office location"), max_length=150, blank=True, default="")
    picture_url = models.CharField(_("picture address"), max_length=500, blank=True, default="")
    language = models.CharField(_("language"), max_length=16, blank=True, default="")  # BCP 47
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, default="")  # IANA name
    address = models.JSONField(_("address"), blank=True, default=dict)  # members of OIDCC-5.1.1
    extension = models.JSONField(_("extended attributes"), blank=True, default=dict)  # attribute name to value
    grade = models.PositiveSmallIntegerField(_("grade"), default=1)

    is_active = models.BooleanField(_("enabled"), default=True)
    is_staff = models.BooleanField(_("operator"), default=False)
    password_changed_at = models.DateTimeField(_("password changed at"), null=True, blank=True)
    password_must_change = models.BooleanField(_("must change password"), default=False)
    locked_until = models.DateTimeField(_("locked until"), null=True, blank=True)
    # Raised by the UPDATE that changes the password or the state. Whatever was granted carries its user's epoch of that
    # time and counts only while the two are equal, so one write ends everything, whoever was faster (S48, ADR 11).
    epoch = models.IntegerField(default=0, db_default=0, editable=False)
    # Kinds of second factors that the person has enrolled, with spaces between them: what a sign-in has to know of them
    # without a further query. `identity.sign_in.enrolment` writes it with the factors themselves.
    factor_kinds = models.CharField(_("second factors"), max_length=100, blank=True, default="", db_default="")
    factor_required = models.BooleanField(
        _("must set up a second factor"), default=False, db_default=False
    )  # at the next sign-in, after an operator has removed them
    # How much of the tenant's grace is used, before a second factor must be set up.
    factor_asked_at = models.DateTimeField(null=True, blank=True, editable=False)  # first
    factor_skips = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)

    mobile = SealedValue("mobile", make_key=make_mobile_key)
    identity_number = SealedValue("identity_number", make_key=make_identity_number_key)

    objects: ClassVar[UserManager] = UserManager()

    # Not unique by itself: identity.sign_in.backends resolves tenant and name (decision 39).
    USERNAME_FIELD = "user_name"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "user_key"],
                condition=models.Q(deleted_at=None) & ~models.Q(user_key=""),
                name="user_name_per_tenant",
            ),
            models.UniqueConstraint(
                fields=["tenant", "email_key"],
                condition=models.Q(deleted_at=None) & ~models.Q(email_key=""),
                name="user_email_per_tenant",
            ),
            models.UniqueConstraint(
                fields=["tenant", "mobile_index"],
                condition=models.Q(deleted_at=None) & ~models.Q(mobile_index=""),
                name="user_mobile_per_tenant",
            ),
            models.UniqueConstraint(
                fields=["tenant", "identity_number_index"],
                condition=models.Q(deleted_at=None) & ~models.Q(identity_number_index=""),
                name="user_identity_number_per_tenant",
            ),
            models.UniqueConstraint(
                fields=["tenant", "employee_id"],
                condition=models.Q(deleted_at=None) & ~models.Q(employee_id=""),
                name="user_employee_id_per_tenant",
            ),
        ]
        indexes = [
            # The list of all users, whose late pages walk it.
            models.Index(fields=["tenant", "id"], condition=models.Q(deleted_at=None), name="user_tenant_present"),
        ]

    def __str__(self) -> str:
        return self.user_name or self.public_id

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.user_key = make_user_key(self.user_name)
        self.email_key = make_email_key(self.email)
        is_new = self._state.adding
        super().save(*args, **kwargs)
        if is_new:
            UserCount.add(self.tenant_id, 1)

    @property
    def is_usable(self) -> bool:
        """Whether the person may act at all: the one gate of S26, together with the tenant's own state."""
        return self.is_active and self.deleted_at is None and self.tenant.is_active

    def get_full_name(self) -> str:
        return self.name or self.user_name

    def get_short_name(self) -> str:
        return self.nick_name or self.get_full_name()


class UserCount(models.Model):
    """How many users of a tenant are present, kept with every creation and deletion: counting a million takes long.

    Whoever writes it waits for others who do, so the number is exact. Users that were loaded by other ways than
    `save` are counted by `identity.directory.counts.recount`.
    """

    tenant = models.OneToOneField(
        Tenant, on_delete=models.CASCADE, related_name="+", primary_key=True, verbose_name=_("tenant")
    )
    users = models.PositiveBigIntegerField(_("users"), default=0)

    class Meta:
        verbose_name = _("number of users")
        verbose_name_plural = _("numbers of users")

    def __str__(self) -> str:
        return f"user count {self.pk}"

    @classmethod
    def add(cls, tenant_id: int, number: int) -> None:
        """Count users that this transaction makes, or with -1 deletes. Without a row nothing is counted yet."""
        cls.objects.filter(tenant_id=tenant_id).update(users=models.F("users") + number)


class UniqueAttributeValue(models.Model):
    """The value of one unique extended attribute of one user, so that the database keeps it unique."""

    definition = models.ForeignKey(
        "identity.AttributeDefinition", on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="unique_attribute_values")
    value_index = models.CharField(max_length=64)  # blind index of the value

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["definition", "value_index"], name="unique_attribute_value"),
            models.UniqueConstraint(fields=["definition", "user"], name="one_value_per_unique_attribute"),
        ]

    def __str__(self) -> str:
        return f"unique attribute value {self.pk}"
