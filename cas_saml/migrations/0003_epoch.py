"""The user's epoch in CAS tickets, as in identity 0009."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cas_saml", "0002_saml"),
    ]

    operations = [
        migrations.AddField(
            model_name="serviceticket",
            name="epoch",
            field=models.IntegerField(db_default=0, default=0, editable=False),
        ),
    ]
