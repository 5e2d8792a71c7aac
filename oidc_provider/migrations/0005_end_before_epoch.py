"""Write down in codes and tokens what only `tokens_valid_after` kept dead, as identity 0010 does for sessions."""

from django.db import migrations
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

BATCH = 5000


def end_codes_and_tokens(apps, schema_editor):
    alias, now = schema_editor.connection.alias, timezone.now()
    users = apps.get_model("identity", "User")._base_manager.using(alias)
    valid_after = Subquery(users.filter(pk=OuterRef("user_id")).values("tokens_valid_after")[:1])

    def end(name, end_all, **open_ones):
        rows = apps.get_model("oidc_provider", name)._base_manager.using(alias).filter(**open_ones)
        last = 0
        while keys := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
            batch = rows.filter(pk__gt=last, pk__lte=keys[-1]).annotate(valid_after=valid_after)
            end_all(batch.filter(created__lt=F("valid_after")))
            last = keys[-1]

    end("AuthorizationCode", lambda rows: rows.delete(), consumed_at=None)
    end("RefreshToken", lambda rows: rows.update(revoked=now), revoked=None)
    end("AccessToken", lambda rows: rows.delete())


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("identity", "0010_end_before_epoch"),
        ("oidc_provider", "0004_epoch"),
    ]
    run_before = [
        ("identity", "0011_forget_tokens_valid_after"),
    ]

    operations = [
        migrations.RunPython(end_codes_and_tokens, migrations.RunPython.noop, elidable=True),
    ]
