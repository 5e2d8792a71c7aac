"""What a client must have been granted (decision 45): one right for each operation, by the document's chapters.

Who may change something may read it, too. Operations on a user are the users chapter's, the one that opens an
application to a user included; everything below /applications/ is the applications'. `auth_api` opens nothing here:
it is for the interfaces that sign people in.
"""

from __future__ import annotations

from enum import Enum


class Right(Enum):
    """What an operation needs: one of these scopes is enough."""

    READ_USERS = ("user_read", "user_all")
    WRITE_USERS = ("user_all",)
    READ_ORGANIZATIONS = ("org_read", "org_all")
    WRITE_ORGANIZATIONS = ("org_all",)
    READ_APPLICATIONS = ("app_read", "app_all")
    WRITE_APPLICATIONS = ("app_all",)
