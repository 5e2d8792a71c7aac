"""Keep mobile numbers in one form, E.164 (decision 58), so that one telephone is one person however it was written.

Rows are walked by key in portions, each its own short transaction, beside servers of the version before: these find a
number in both forms. Of two people with one telephone the one who proved it, else the older row, gets the new form;
the other keeps the spelling, cannot sign in by it any more, and is told here. Nothing is lost, so there is nothing to
undo backwards. Written without the services, which move on.
"""

import logging
import re

import phonenumbers
from babel.core import get_global
from django.db import IntegrityError, migrations, transaction

from identity import crypto

log = logging.getLogger(__name__)

PORTION = 500
PUNCTUATION = str.maketrans("", "", "- ")
SPELLING = re.compile(r"\+?[0-9 ().\-]{1,40}")
NOBODYS = {"PREMIUM_RATE", "SHARED_COST", "UAN", "PERSONAL_NUMBER", "PAGER", "VOICEMAIL", "TOLL_FREE"}


def merge_spellings(apps, schema_editor):
    alias = schema_editor.connection.alias
    users = apps.get_model("identity", "User").objects.using(alias)
    tenants = apps.get_model("identity", "Tenant").objects.using(alias)
    countries = {tenant.pk: country_of(tenant) for tenant in tenants.select_related("message_policy")}
    # Who proved the number comes first, so that it is theirs.
    for proved in (True, False):
        last = 0
        rows = users.filter(deleted_at=None, phone_number_verified=proved).exclude(mobile_sealed="").order_by("pk")
        columns = ("pk", "tenant_id", "mobile_sealed", "mobile_index")
        while portion := list(rows.filter(pk__gt=last).values_list(*columns)[:PORTION]):
            last = portion[-1][0]
            try:
                with transaction.atomic(using=alias):
                    for row in portion:
                        write(users, row, countries)
            except IntegrityError:  # Somebody wrote the same number at this moment: one row at a time.
                for row in portion:
                    try:
                        with transaction.atomic(using=alias):
                            write(users, row, countries)
                    except IntegrityError:
                        tell(row, "the telephone of another user")


def write(users, row, countries):
    pk, tenant_id, sealed, index = row
    try:
        spelling = crypto.unseal(sealed, purpose="user.mobile")
    except crypto.UnsealError:
        tell(row, "a telephone that cannot be unsealed")
        return
    # A tenant may have been made meanwhile; what its people write is in the new form already.
    number = canonical(spelling, countries.get(tenant_id, "CN"))
    new_index = crypto.blind_index(number, tenant_id=tenant_id, field="mobile")
    if number == spelling and new_index == index:
        return
    others = users.filter(tenant_id=tenant_id, deleted_at=None, mobile_index=new_index)
    if others.exclude(pk=pk).exists():
        tell(row, "the telephone of another user")
        return
    # Only what was read is replaced: a number that was changed meanwhile is new already, or is found the next time.
    users.filter(pk=pk, mobile_index=index).update(
        mobile_sealed=crypto.seal(number, purpose="user.mobile"), mobile_index=new_index
    )


def tell(row, what):
    log.warning("mobile.not_merged", extra={"user": row[0], "tenant": row[1], "reason": what})
    print(f"\n  User {row[0]} of tenant {row[1]} has {what}; the spelling stays. Correct it.")


def canonical(spelling, country):
    as_written = spelling.translate(PUNCTUATION)
    if not SPELLING.fullmatch(spelling):
        return as_written
    try:
        number = phonenumbers.parse(spelling, country)
    except phonenumbers.NumberParseException:
        return as_written
    kind = phonenumbers.PhoneNumberType.to_string(phonenumbers.number_type(number))
    if not phonenumbers.is_possible_number_for_type(number, phonenumbers.PhoneNumberType.MOBILE) or kind in NOBODYS:
        return as_written
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def country_of(tenant):
    policy = getattr(tenant, "message_policy", None)
    if policy is not None and policy.country:
        return policy.country
    zone = get_global("zone_aliases").get(tenant.time_zone, tenant.time_zone)
    country = str(get_global("zone_territories").get(zone, ""))
    return country if country in phonenumbers.SUPPORTED_REGIONS else "CN"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("identity", "0016_secret_fingerprints")]
    operations = [migrations.RunPython(merge_spellings, migrations.RunPython.noop, elidable=True)]
