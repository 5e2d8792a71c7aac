"""What this app does when identity tells news: a session ended, a user may not act any more."""

from __future__ import annotations

from typing import Any

from identity.models import SSOSession, User
from identity.signals import session_ended, user_disabled
from oidc_provider.grants import rows
from oidc_provider.logout import back_channel


def on_session_ended(*, session: SSOSession, reason: str, **kwargs: Any) -> None:
    """End what was granted in the session, and let its clients be told."""
    back_channel.enqueue(session)
    rows.revoke_for_session(session, with_offline=not session.leaves_offline_grants)


def on_user_disabled(*, user: User, **kwargs: Any) -> None:
    """End everything that the user granted."""
    rows.revoke_for_user(user)


def connect() -> None:
    """Listen. Called once, by `apps.ready`."""
    session_ended.connect(on_session_ended, dispatch_uid="oidc_provider.session_ended")
    user_disabled.connect(on_user_disabled, dispatch_uid="oidc_provider.user_disabled")
