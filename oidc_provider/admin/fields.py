"""Fields of the forms over clients: lists of texts, check boxes, flags."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
)

from oidc_provider.models import (
    FLAG_TEXTS,
)


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", gettext_lazy("One a line."))
        super().__init__(required=False, **kwargs)
        self.widget.attrs["rows"] = 3

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


def choices_of(values: Any, label: Any) -> forms.MultipleChoiceField:
    """Build a field of check boxes whose values are their own labels."""
    return forms.MultipleChoiceField(
        label=label,
        choices=[(value, value) for value in values],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )


class FlagsField(forms.MultipleChoiceField):
    """The flags of a client as switches, each with what it does and what it costs."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=list(FLAG_TEXTS.items()), required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return [name for name, is_set in value.items() if is_set] if isinstance(value, dict) else value

    def clean(self, value: Any) -> Any:
        return dict.fromkeys(super().clean(value), True)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return {name for name, is_set in (initial or {}).items() if is_set} != set(data or ())
