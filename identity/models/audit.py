"""The audit trail. Append-only: rows cannot be changed or deleted through the ORM (decision 34)."""

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.tenants import Tenant


class AppendOnlyError(TypeError):
    """Somebody tried to change or delete an audit row."""


class AppendOnlyQuerySet(models.QuerySet[Any]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("audit rows are never changed")

    def delete(self) -> NoReturn:
        raise AppendOnlyError("audit rows are never deleted")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("audit rows are never changed")


class AuditOutcome(models.TextChoices):
    SUCCESS = "success", _("Success")
    REFUSED = "refused", _("Refused")


class AppendOnlyModel(models.Model):
    objects: ClassVar[models.Manager[Any]] = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError("audit rows are never changed")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("audit rows are never deleted")


class AuditBatch(AppendOnlyModel):
    """A link of a tenant's chain: the hash over the rows of the batch and the batch before it."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, null=True, related_name="+", verbose_name=_("tenant")
    )
    number = models.PositiveBigIntegerField(_("number"))  # from 1, without gaps
    row_count = models.PositiveIntegerField(_("rows"))
    previous_hash = models.CharField(_("hash before"), max_length=64, blank=True, default="")
    hash = models.CharField(_("hash"), max_length=64)  # hex SHA-256 over previous_hash and the rows, by id
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("audit batch")
        verbose_name_plural = _("audit batches")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="audit_batch_number"),
            models.UniqueConstraint(
                fields=["number"], condition=models.Q(tenant=None), name="audit_batch_number_without_tenant"
            ),
        ]

    def __str__(self) -> str:
        return f"audit batch {self.number}"


class AuditEvent(AppendOnlyModel):
    """Who did what to whom, from where, with what result. Ids, not foreign keys: rows outlive what they tell of.

    `personal` may be erased (outside the hash); everything else is under the chain.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, verbose_name=_("tenant")
    )
    at = models.DateTimeField(_("at"))
    event_type = models.CharField(_("event"), max_length=64)  # identity.events.EventType
    outcome = models.CharField(_("outcome"), max_length=16, choices=AuditOutcome.choices)
    reason = models.CharField(_("reason"), max_length=100, blank=True, default="")  # fault or error code
    actor_type = models.CharField(_("actor kind"), max_length=16, blank=True, default="")  # user, client, system, ""
    actor_id = models.CharField(_("actor"), max_length=255, blank=True, default="")  # public id or client_id
    target_type = models.CharField(_("target kind"), max_length=64, blank=True, default="")  # model name
    target_id = models.CharField(_("target"), max_length=255, blank=True, default="")
    application_id = models.CharField(_("application"), max_length=32, blank=True, default="")  # public id
    client_id = models.CharField(_("client"), max_length=255, blank=True, default="")
    dialect = models.CharField(_("dialect"), max_length=16, blank=True, default="")
    sid = models.CharField(_("session"), max_length=43, blank=True, default="")
    request_id = models.CharField(_("request"), max_length=64, blank=True, default="")
    details = models.JSONField(_("details"), default=dict)  # no personal data
    changes = models.JSONField(_("changes"), default=dict)  # attribute to [before, after]; personal values masked
    personal = models.JSONField(_("personal data"), default=dict)  # ip, user_agent, names; erasable
    batch = models.ForeignKey(AuditBatch, on_delete=models.PROTECT, null=True, related_name="events")

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        indexes = [
            models.Index(fields=["tenant", "-id"], name="audit_event_tenant"),
            models.Index(fields=["tenant", "actor_id"], name="audit_event_actor"),
            models.Index(fields=["tenant", "target_id"], name="audit_event_target"),
            models.Index(fields=["tenant", "id"], condition=models.Q(batch=None), name="audit_event_pending"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.pk}"
