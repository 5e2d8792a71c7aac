"""A code is for one person, one purpose and one place."""

from __future__ import annotations

import re

import pytest
from django.core import mail

from identity.context import RequestContext
from identity.errors import VerificationRefused
from identity.models import User, VerificationPurpose
from identity.sign_in import verification
from tests.factories import make_tenant, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.security("S25")
def test_a_code_that_was_sent_to_the_mailbox_for_somebody_else_proves_nothing() -> None:
    tenant = make_tenant()
    bob = make_user(tenant, user_name="bob", email="shared@example.org")
    context = RequestContext(tenant=tenant, ip="198.51.100.7")
    target, purpose = verification.email_of(bob), VerificationPurpose.VERIFY_EMAIL
    verification.send(tenant=tenant, purpose=purpose, target=target, user=bob, context=context)
    found = re.search(r"\b\d{6}\b", str(mail.outbox[-1].body))
    assert found
    # The mailbox changes hands while the code is open.
    User.objects.filter(pk=bob.pk).update(email="", email_key="")
    alice = make_user(tenant, user_name="alice", email="shared@example.org")
    of_code = {"tenant": tenant, "purpose": purpose, "target": target, "verification_code": found[0]}
    with pytest.raises(VerificationRefused):
        verification.prove(**of_code, user=alice)
    verification.prove(**of_code, user=bob)
