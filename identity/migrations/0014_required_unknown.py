"""Let a definition leave open whether its attribute is required: then the built-in rule of that name says it."""

from typing import Any

from django.db import migrations, models


def nothing_is_open(apps: Any, schema_editor: Any) -> None:
    apps.get_model("identity", "AttributeDefinition").objects.filter(is_required=None).update(is_required=False)


class Migration(migrations.Migration):
    dependencies = [("identity", "0013_keys_of_names")]

    operations = [
        migrations.AlterField(
            model_name="attributedefinition",
            name="is_required",
            field=models.BooleanField(
                blank=True,
                default=None,
                help_text="Unknown: as the built-in attribute of this name has it; others may be left out.",
                null=True,
                verbose_name="required",
            ),
        ),
        # The way back only: the older column takes no NULL.
        migrations.RunPython(migrations.RunPython.noop, nothing_is_open, elidable=True),
    ]
