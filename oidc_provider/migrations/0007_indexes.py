"""Index what a revocation looks for, drop what repeats, and name new grants in the order of time (RFC9562-5.7)."""

from django.db import migrations, models

import oidc_provider.models
from identity.indexes import AddIndexWhileServing, DropImpliedIndex

FAMILY = models.UUIDField(default=oidc_provider.models.new_family, editable=False)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("oidc_provider", "0006_published_keys")]

    operations = [
        AddIndexWhileServing("authorizationcode", models.Index(fields=["family"], name="authorization_code_family")),
        AddIndexWhileServing(
            "authorizationcode",
            models.Index(fields=["user", "application"], name="authorization_code_user_client"),
        ),
        DropImpliedIndex("apiscope", "tenant"),
        DropImpliedIndex("consent", "user"),
        # A default is not the database's: families of the version before stay as they are.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(model, "family", FAMILY)
                for model in ("accesstoken", "authorizationcode", "refreshtoken")
            ]
        ),
    ]
