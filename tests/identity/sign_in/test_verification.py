"""A code is for one person, one purpose and one place."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import mail

from identity.context import RequestContext
from identity.errors import VerificationRefused
from identity.models import User, VerificationPurpose
from identity.sign_in import verification
from tests.factories import make_tenant, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def sent_to(user: User) -> dict[str, Any]:
    """What proves that the user has the mailbox, as it was sent there."""
    target, purpose = verification.email_of(user), VerificationPurpose.VERIFY_EMAIL
    context = RequestContext(tenant=user.tenant, ip="198.51.100.7")
    verification.send(tenant=user.tenant, purpose=purpose, target=target, user=user, context=context)
    found = re.search(r"\b\d{6}\b", str(mail.outbox[-1].body))
    assert found
    return {"tenant": user.tenant, "purpose": purpose, "target": target, "verification_code": found[0]}


@pytest.mark.security("S25")
def test_a_code_that_was_sent_to_the_mailbox_for_somebody_else_proves_nothing() -> None:
    tenant = make_tenant()
    bob = make_user(tenant, user_name="bob", email="shared@example.org")
    of_code = sent_to(bob)
    # The mailbox changes hands while the code is open.
    User.objects.filter(pk=bob.pk).update(email="", email_key="")
    alice = make_user(tenant, user_name="alice", email="shared@example.org")
    with pytest.raises(VerificationRefused):
        verification.prove(**of_code, user=alice)
    verification.prove(**of_code, user=bob)


def test_of_two_who_have_proved_a_code_one_spends_it() -> None:
    user = make_user(make_tenant(), email="a@example.org")
    of_code = sent_to(user)
    first, second = (verification.prove(**of_code, user=user) for _number in range(2))
    verification.spend(first)
    with pytest.raises(VerificationRefused):
        verification.spend(second)
