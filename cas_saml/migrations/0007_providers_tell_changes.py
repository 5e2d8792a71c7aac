"""Service providers tell of every change."""

from typing import Any

from django.db import migrations

TABLES = {
    "cas_saml_serviceprovider": "tenant_id",
}


def tell(apps: Any, schema_editor: Any) -> None:
    """Let these tables tell of every change whose it was (ADR 31). Other databases cannot."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, column in TABLES.items():
        schema_editor.execute(
            f"CREATE TRIGGER monban_tell_change AFTER INSERT OR UPDATE OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION monban_tell_change('{column}')"
        )


def say_nothing(apps: Any, schema_editor: Any) -> None:
    """Take the triggers away."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for table in TABLES:
        schema_editor.execute(f"DROP TRIGGER monban_tell_change ON {table}")


class Migration(migrations.Migration):
    """No column changes."""

    dependencies = [("cas_saml", "0006_tell_changes")]

    operations = [migrations.RunPython(tell, say_nothing)]
