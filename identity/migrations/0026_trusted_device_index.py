"""Drop the indexes that would serve LIKE on the name and hash of a trusted browser: nobody looks one up by a beginning."""

from django.db import migrations

from identity.indexes import DropImpliedIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("identity", "0025_trusted_devices")]

    operations = [
        DropImpliedIndex("trusteddevice", "public_id", "_like"),
        DropImpliedIndex("trusteddevice", "handle_hash", "_like"),
    ]
