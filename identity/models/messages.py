"""How a tenant's codes leave the house: gateways, texts, and what was sent."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from identity.models.reading import ReadSafely
from identity.models.tenants import Tenant
from identity.models.verification import VerificationChannel, VerificationPurpose
from identity.validators import validate_object


class MessageGateway(ReadSafely):
    """One way out of the house. The ones of a channel are asked by position until one takes the message."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, db_index=False, related_name="+", verbose_name=_("tenant")
    )
    name = models.CharField(_("name"), max_length=100)
    channel = models.CharField(_("channel"), max_length=16, choices=VerificationChannel.choices)
    kind = models.CharField(_("kind"), max_length=32)  # a name of identity.messaging.senders
    position = models.PositiveSmallIntegerField(_("position"), default=0, help_text=_("The lowest is asked first."))
    is_active = models.BooleanField(_("active"), default=False)
    base_url = models.CharField(_("address"), max_length=500, blank=True, default="")  # "" is the kind's own
    settings = models.JSONField(
        _("settings"), default=dict, blank=True, validators=[validate_object]
    )  # what the kind asks for; no secrets
    secret_sealed = models.TextField(blank=True, default="", editable=False)
    is_internal = models.BooleanField(
        _("internal"), default=False, help_text=_("May be called at private addresses and without TLS.")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("message gateway")
        verbose_name_plural = _("message gateways")
        indexes = [models.Index(fields=["tenant", "channel", "position"], name="message_gateway_order")]

    def __str__(self) -> str:
        return self.name


class MessageTemplate(models.Model):
    """A tenant's own text for one purpose in one language; without a row, Monban's own text is sent."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, db_index=False, related_name="+", verbose_name=_("tenant")
    )
    channel = models.CharField(_("channel"), max_length=16, choices=VerificationChannel.choices)
    purpose = models.CharField(_("purpose"), max_length=32, choices=VerificationPurpose.choices)
    language = models.CharField(_("language"), max_length=16)  # BCP 47, one of settings.LANGUAGES
    subject = models.CharField(_("subject"), max_length=150, blank=True, default="", help_text=_("Of a mail."))
    text = models.TextField(_("text"), help_text=_("{code}, {minutes} and {tenant} are filled in."))
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "channel", "purpose", "language"], name="one_message_template_per_language"
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.purpose} {self.language}"


NOTICE = "notice"  # of a message that carries no code: it tells what was done to the account


class SentState(models.TextChoices):
    SENT = "sent", _("Taken by the gateway")
    REFUSED = "refused", _("Refused")
    UNCLEAR = "unclear", _("No answer; perhaps sent")


class SentMessage(models.Model):
    """One message handed, or tried to be handed, to one gateway. Neither the code nor the whole target is in it."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, db_index=False, related_name="+", verbose_name=_("tenant")
    )
    user = models.ForeignKey(
        "identity.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    gateway = models.ForeignKey(
        MessageGateway, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("gateway")
    )
    gateway_name = models.CharField(_("gateway"), max_length=100)  # stays when the gateway is deleted
    channel = models.CharField(_("channel"), max_length=16, choices=VerificationChannel.choices)
    purpose = models.CharField(
        _("purpose"), max_length=32, choices=[*VerificationPurpose.choices, (NOTICE, _("Notice"))]
    )
    target_masked = models.CharField(_("sent to"), max_length=100)
    attempt = models.PositiveSmallIntegerField(_("attempt"))  # 1 is the first gateway that was asked
    is_test = models.BooleanField(_("test"), default=False)  # an operator's test message
    state = models.CharField(_("state"), max_length=16, choices=SentState.choices)
    reference = models.CharField(_("gateway's id"), max_length=200, blank=True, default="")
    error_code = models.CharField(_("error code"), max_length=100, blank=True, default="")
    duration_ms = models.PositiveIntegerField(_("milliseconds"))
    request_id = models.CharField(_("request id"), max_length=64, blank=True, default="")  # ours, as in the log
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("sent message")
        verbose_name_plural = _("sent messages")
        indexes = [
            models.Index(fields=["created_at"], name="sent_message_created"),
            models.Index(fields=["tenant", "-id"], name="sent_message_newest"),
        ]

    def __str__(self) -> str:
        return f"sent message {self.pk}"
