"""Drop the indexes that repeat others, and let the chaining of the audit trail step from tenant to tenant.

Beside servers of the version before, which ask nothing that the others do not serve.
"""

from django.db import migrations, models

from identity.indexes import AddIndexWhileServing, DropImpliedIndex, RemoveIndexWhileServing

# Foreign keys with which another index begins.
REPEATED = [
    ("application", "tenant"),
    ("apporganization", "application"),
    ("appaccount", "application"),
    ("appaccount", "user"),
    ("auditbatch", "tenant"),
    ("auditevent", "tenant"),
    ("passwordhistory", "user"),
    ("attemptcounter", "tenant"),
    ("messagegateway", "tenant"),
    ("messagetemplate", "tenant"),
    ("sentmessage", "tenant"),
    ("organization", "tenant"),
    ("membership", "user"),
    ("approle", "application"),
    ("approlemember", "role"),
    ("ssosession", "user"),
    ("sessionparticipant", "session"),
    ("upstream", "tenant"),
    ("externalaccount", "tenant"),
    ("externalaccount", "user"),
    ("uniqueattributevalue", "definition"),
]
# Unique texts that nobody looks up by their beginning.
FOR_LIKE = [
    ("appaccount", "public_id"),
    ("application", "public_id"),
    ("apporganization", "public_id"),
    ("approle", "public_id"),
    ("authenticatorapp", "public_id"),
    ("captcha", "token_hash"),
    ("delivery", "jti"),
    ("externalidentity", "public_id"),
    ("keypair", "kid"),
    ("logintransaction", "handle_hash"),
    ("organization", "public_id"),
    ("pendingrequest", "handle_hash"),
    ("secretfingerprint", "variable"),
    ("spentnonce", "key_hash"),
    ("ssosession", "handle_hash"),
    ("ssosession", "sid"),
    ("ssoticket", "ticket_hash"),
    ("tenant", "code"),
    ("tenant", "public_id"),
    ("tenantdomain", "host"),
    ("upstream", "public_id"),
    ("user", "public_id"),
]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("identity", "0018_factors")]

    operations = [
        AddIndexWhileServing(
            "auditevent",
            models.Index(fields=["tenant", "id"], condition=models.Q(batch=None), name="audit_event_pending"),
        ),
        RemoveIndexWhileServing("auditevent", "audit_event_unchained"),
        RemoveIndexWhileServing("user", "user_tenant_public_id"),
        *(DropImpliedIndex(model, field) for model, field in REPEATED),
        *(DropImpliedIndex(model, field, "_like") for model, field in FOR_LIKE),
    ]
