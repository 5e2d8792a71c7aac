"""Write down in the rows what only `tokens_valid_after` kept dead, so that the epoch, 0 everywhere, finds it ended.

In portions of their own transactions; what lives goes on living. There is nothing to take back.
"""

from django.db import migrations
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

BATCH = 5000


def end_sessions_and_sign_ins(apps, schema_editor):
    alias, now = schema_editor.connection.alias, timezone.now()
    users = apps.get_model("identity", "User")._base_manager.using(alias)
    valid_after = Subquery(users.filter(pk=OuterRef("user_id")).values("tokens_valid_after")[:1])

    def end(rows, **values):
        last = 0
        while keys := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
            batch = rows.filter(pk__gt=last, pk__lte=keys[-1]).annotate(valid_after=valid_after)
            batch.filter(created_at__lt=F("valid_after")).update(**values)
            last = keys[-1]

    open_sessions = apps.get_model("identity", "SSOSession").objects.using(alias).filter(ended_at=None)
    end(open_sessions, ended_at=now, end_reason="password_changed")
    under_way = apps.get_model("identity", "LoginTransaction").objects.using(alias)
    end(under_way.filter(finished_at=None, expires_at__gt=now), expires_at=now)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("identity", "0009_epoch"),
    ]

    operations = [
        migrations.RunPython(end_sessions_and_sign_ins, migrations.RunPython.noop, elidable=True),
    ]
