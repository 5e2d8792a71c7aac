"""Who may sign users in through the SDK API: a column, off unless an operator turns it on.

Until here every enabled client could. Those through which somebody did keep it, found by the sessions that are kept
(see `session_retention`); all others are closed.
"""

from django.db import migrations, models

BATCH = 1000
PROTOCOL = "sdk"


def keep_those_in_use(apps, schema_editor):
    participants = apps.get_model("identity", "SessionParticipant").objects.using(schema_editor.connection.alias)
    clients = apps.get_model("oidc_provider", "Client")._base_manager.using(schema_editor.connection.alias)
    last = 0
    while keys := list(clients.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        batch = clients.filter(pk__in=keys)
        names = list(batch.values_list("client_id", flat=True))
        used = participants.filter(protocol=PROTOCOL, registration__in=names).values_list("registration", flat=True)
        batch.filter(client_id__in=list(used.distinct())).update(may_use_sdk=True)
        last = keys[-1]


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0001_initial"),
        ("oidc_provider", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="client",
            name="may_use_sdk",
            field=models.BooleanField(
                default=False,
                help_text="Users type their password into the application itself. Only for apps of your own.",
                verbose_name="may sign users in through the SDK API",
            ),
        ),
        migrations.RunPython(keep_those_in_use, migrations.RunPython.noop, elidable=True),
    ]
