"""Tables whose rows processes remember tell of every change."""

from typing import Any

from django.db import migrations

# A table's row says in which column its tenant stands; "" where it does not know. Several equal notices of one
# transaction are one.
FUNCTION = """
CREATE FUNCTION monban_tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('monban_changes', coalesce(to_jsonb(OLD) ->> TG_ARGV[0], ''));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('monban_changes', coalesce(to_jsonb(NEW) ->> TG_ARGV[0], ''));
    END IF;
    RETURN NULL;
END
$$
"""
TABLES = {
    "identity_tenant": "id",
    "identity_tenantdomain": "tenant_id",
    "identity_passwordpolicy": "tenant_id",
    "identity_sessionpolicy": "tenant_id",
    "identity_messagepolicy": "tenant_id",
    "identity_application": "tenant_id",
    "identity_keypair": "tenant_id",
    "identity_upstream": "tenant_id",
}


def tell(apps: Any, schema_editor: Any) -> None:
    """Let these tables tell of every change whose it was (ADR 31). Other databases cannot."""
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(FUNCTION)
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
    schema_editor.execute("DROP FUNCTION monban_tell_change()")


class Migration(migrations.Migration):
    """No column changes."""

    dependencies = [("identity", "0022_passkey_index")]

    operations = [migrations.RunPython(tell, say_nothing)]
