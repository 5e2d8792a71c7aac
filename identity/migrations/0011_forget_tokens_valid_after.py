"""The epoch stands in its place.

On PostgreSQL the column itself stays for one version, for nodes of the version before still read it. SQLite has one
node, and copies a table by what the models know when the next column comes: there it goes now.
"""

from django.db import migrations


class ForgetField(migrations.RemoveField):
    """Take the field from the models, and on SQLite from the table."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "sqlite":
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0010_end_before_epoch"),
    ]

    operations = [
        ForgetField(model_name="user", name="tokens_valid_after"),
    ]
