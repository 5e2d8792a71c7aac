"""Drop the indexes that repeat others."""

from django.db import migrations

from identity.indexes import DropImpliedIndex

# Foreign keys with which another index begins.
REPEATED = [
    ("casservice", "tenant"),
    ("serviceprovider", "tenant"),
    ("persistentname", "service_provider"),
    ("samlsession", "service_provider"),
    ("samlsession", "session"),
]
# Unique texts that nobody looks up by their beginning.
FOR_LIKE = [
    ("casservice", "public_id"),
    ("samlsession", "session_index"),
    ("serviceprovider", "public_id"),
    ("serviceticket", "ticket_hash"),
]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("cas_saml", "0004_cas_plain_http")]

    operations = [
        *(DropImpliedIndex(model, field) for model, field in REPEATED),
        *(DropImpliedIndex(model, field, "_like") for model, field in FOR_LIKE),
    ]
