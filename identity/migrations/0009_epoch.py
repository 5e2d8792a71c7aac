"""An epoch on the user, copied into what is granted (ADR 11). Constant defaults: PostgreSQL rewrites no table for them,
and a node of the version before goes on writing rows without these columns."""

from django.db import migrations, models


def epoch() -> models.IntegerField:
    return models.IntegerField(db_default=0, default=0, editable=False)


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0008_captcha"),
    ]

    operations = [
        migrations.AddField(model_name="user", name="epoch", field=epoch()),
        migrations.AddField(model_name="ssosession", name="epoch", field=epoch()),
        migrations.AddField(model_name="ssoticket", name="epoch", field=epoch()),
        migrations.AddField(model_name="logintransaction", name="epoch", field=epoch()),
    ]
