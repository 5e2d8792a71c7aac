"""Whether operators may replace a forgotten password. A constant default, so that nodes of before go on writing rows."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("identity", "0014_required_unknown"),
    ]

    operations = [
        migrations.AddField(
            model_name='passwordpolicy',
            name='operators_may_reset',
            field=models.BooleanField(db_default=False, default=False, help_text="By one code to their mailbox and another one to their telephone, both proved. Superusers never may, as whoever sets up a tenant's gateways can read what they carry. Only superusers change this.", verbose_name='operators may replace a forgotten password themselves'),
        ),
    ]
