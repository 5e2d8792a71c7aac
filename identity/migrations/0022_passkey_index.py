"""Drop the index that would serve LIKE on the name of a passkey: nobody looks one up by its beginning."""

from django.db import migrations

from identity.indexes import DropImpliedIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("identity", "0021_new_client_algorithm")]

    operations = [DropImpliedIndex("passkey", "public_id", "_like")]
