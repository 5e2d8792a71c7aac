"""The user's epoch in codes and tokens, as in identity 0009."""

from django.db import migrations, models


def epoch() -> models.IntegerField:
    return models.IntegerField(db_default=0, default=0, editable=False)


class Migration(migrations.Migration):
    dependencies = [
        ("oidc_provider", "0003_refresh_token_grace"),
    ]

    operations = [
        migrations.AddField(model_name="authorizationcode", name="epoch", field=epoch()),
        migrations.AddField(model_name="accesstoken", name="epoch", field=epoch()),
        migrations.AddField(model_name="refreshtoken", name="epoch", field=epoch()),
    ]
