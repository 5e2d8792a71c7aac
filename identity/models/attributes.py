"""Attribute definitions: what a tenant demands of built-in and extended attributes."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from identity import patterns
from identity.models.reading import ReadSafely
from identity.models.tenants import Tenant
from identity.validators import count, validate_texts


class AttributeTarget(models.TextChoices):
    USER = "user", _("User")
    ACCOUNT = "account", _("Application account")


class AttributeType(models.TextChoices):
    STRING = "string", _("Text")
    INTEGER = "integer", _("Whole number")
    BOOLEAN = "boolean", _("Yes or no")
    DATE = "date", _("Date")
    CHOICE = "choice", _("Choice")


class AttributeEditor(models.TextChoices):
    """Who may write the attribute. Operators always may."""

    OPERATOR = "operator", _("Operators only")
    API = "api", _("Operators and the management API")
    USER = "user", _("Operators, the management API and the user")


def validate_pattern(pattern: str) -> None:
    """Refuse what is not a regular expression, or only one by which nothing can be judged."""
    if not patterns.is_usable(pattern):
        raise ValidationError(_("This is not a regular expression."))


class AttributeDefinition(ReadSafely):
    """The rule for one attribute of a tenant's users, or of one application's accounts.

    A row whose name is that of a built-in attribute (`mobile`, `employee_id` …) changes that one's rule.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="attribute_definitions", verbose_name=_("tenant")
    )
    target = models.CharField(
        _("belongs to"), max_length=16, choices=AttributeTarget.choices, default=AttributeTarget.USER
    )
    application = models.ForeignKey(
        "identity.Application",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="attribute_definitions",
        verbose_name=_("application"),
    )  # only for accounts
    name = models.CharField(
        _("name"), max_length=64, validators=[RegexValidator(r"^[A-Za-z][A-Za-z0-9_.-]*$")]
    )  # a member of JSON objects, and part of claim names
    label = models.CharField(_("label"), max_length=100, blank=True, default="")
    type = models.CharField(_("type"), max_length=16, choices=AttributeType.choices, default=AttributeType.STRING)
    choices = models.JSONField(
        _("choices"), blank=True, default=list, validators=[validate_texts]
    )  # allowed values, for type choice
    is_required = models.BooleanField(
        _("required"),
        null=True,
        blank=True,
        default=None,
        help_text=_("Unknown: as the built-in attribute of this name has it; others may be left out."),
    )
    is_unique = models.BooleanField(_("unique"), default=False)
    pattern = models.CharField(
        _("pattern"), max_length=500, blank=True, default="", validators=[validate_pattern]
    )  # regular expression of the whole value, in Python's syntax
    editable_by = models.CharField(
        _("may be edited by"), max_length=16, choices=AttributeEditor.choices, default=AttributeEditor.API
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0, validators=count(0, 32_767))

    read_as_stored: ClassVar[frozenset[str]] = frozenset({"pattern"})  # no value fits a pattern that is none
    read_as: ClassVar[dict[str, Any]] = {"editable_by": AttributeEditor.OPERATOR}  # who may write is not guessed

    class Meta:
        verbose_name = _("attribute definition")
        verbose_name_plural = _("attribute definitions")
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], condition=models.Q(target="user"), name="user_attribute_per_tenant"
            ),
            models.UniqueConstraint(
                fields=["application", "name"],
                condition=models.Q(target="account"),
                name="account_attribute_per_application",
            ),
            models.CheckConstraint(
                condition=models.Q(target="user", application=None)
                | (models.Q(target="account") & models.Q(application__isnull=False)),
                name="attribute_target_matches_application",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a choice of nothing. Choices may stay empty for a built-in attribute that brings its own."""
        choices = self.choices
        if not isinstance(choices, list) or not all(isinstance(choice, str) and choice for choice in choices):
            raise ValidationError({"choices": _("Choices are a list of texts.")})
