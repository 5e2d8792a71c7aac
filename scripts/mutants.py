"""Make careless changes in critical code, one at a time, and see whether the tests notice.

    python scripts/mutants.py                 all of them; about ten minutes on two free cores
    python scripts/mutants.py epoch throttle  those whose name holds one of the words
    python scripts/mutants.py --list

Run by hand, never in CI: what is proved is that the tests can fail. Each change is made in a copy of the checkout,
and the tests that are named with it run there, on SQLite unless DATABASE_URL says otherwise. A change that no test
notices is a test that is missing. A text that the code does not hold exactly once is an error: then the list is old.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ["bench", "cas_saml", "config", "docs", "identity", "locale", "miniapp", "oidc_provider", "requirements"]
COPIED += ["scripts", "sdk_api", "templates", "tenant_api", "tests", "manage.py", "pyproject.toml", "gunicorn.conf.py"]
SECONDS = 600


@dataclass(frozen=True)
class Mutant:
    """One careless change: in this file, this text becomes that one, and these tests should notice."""

    name: str
    file: str
    before: str
    after: str
    tests: str


MUTANTS = [
    # The gate, sessions and epochs
    Mutant(
        "gate: a disabled person passes",
        "identity/sso/access.py",
        "    if not user.is_usable:\n        raise",
        "    if False:\n        raise",
        "tests/identity/sso/test_access.py",
    ),
    Mutant(
        "gate: an account at the application may be disabled",
        "identity/sso/access.py",
        "AppAccount.objects.filter(application=application, user=user, is_active=True)",
        "AppAccount.objects.filter(application=application, user=user)",
        "tests/identity/sso/test_access.py",
    ),
    Mutant(
        "gate: the epoch of a grant is not compared",
        "identity/sso/access.py",
        "if epoch is not None and epoch != user.epoch:",
        "if False:",
        "tests/oidc_provider/grants/test_epoch.py tests/specs/rfc6749/test_token_endpoint.py",
    ),
    Mutant(
        "gate: an older epoch is enough",
        "identity/sso/access.py",
        "epoch != user.epoch:",
        "epoch > user.epoch:",
        "tests/oidc_provider/grants/test_epoch.py tests/specs/rfc6749/test_token_endpoint.py",
    ),
    Mutant(
        "gate: an ended session passes",
        "identity/sso/access.py",
        "if session is not None and not (session.leaves_offline_grants if is_offline else session.is_usable):",
        "if False:",
        "tests/specs/rfc6749/test_token_endpoint.py tests/specs/cas/test_validation.py",
    ),
    Mutant(
        "gate: everybody has an account",
        "identity/sso/access.py",
        "    if application is not None:\n        check_application(",
        "    if application is None:\n        check_application(",
        "tests/specs/oidcc/test_authorization.py tests/specs/rfc6749/test_token_endpoint.py",
    ),
    Mutant(
        "sessions: the epoch is not asked",
        "identity/models/sessions.py",
        "            and self.epoch == self.user.epoch  # S48\n",
        "",
        "tests/identity/sso/test_sessions.py tests/pages/test_account.py",
    ),
    Mutant(
        "sessions: everything is revoked without a new epoch",
        "identity/sso/access.py",
        'User.objects.filter(pk=user.pk).update(epoch=F("epoch") + 1)',
        "User.objects.filter(pk=user.pk).exists()",
        "tests/oidc_provider/grants/test_epoch.py tests/identity/sso/test_sessions.py",
    ),
    Mutant(
        "sessions: an app's session_token is a cookie",
        "identity/middleware.py",
        "tenant=tenant, kind=SessionKind.BROWSER)",
        "tenant=tenant, kind=None)",
        "tests/sdk_api/test_login.py tests/pages/test_account.py",
    ),
    # The machine under every sign-in
    Mutant(
        "sign-in: a stale copy moves",
        "identity/sign_in/machine.py",
        "LoginTransaction.objects.filter(pk=pk, state=state, finished_at=None",
        "LoginTransaction.objects.filter(pk=pk, finished_at=None",
        "tests/identity/sign_in/test_login.py",
    ),
    Mutant(
        "sign-in: a transaction of another epoch goes on",
        "identity/sign_in/machine.py",
        "if row.user is not None and row.epoch != row.user.epoch:",
        "if False:",
        "tests/identity/sign_in/test_login.py tests/pages/test_second_factor.py "
        "tests/oidc_provider/grants/test_epoch.py",
    ),
    Mutant(
        "sign-in: another browser goes on",
        "identity/sign_in/machine.py",
        "if row is None or not crypto.matches_keyed_hash(step.binding, row.binding_hash, purpose=_BINDING):",
        "if row is None:",
        "tests/identity/sign_in/test_login.py tests/pages/test_sign_in.py",
    ),
    Mutant(
        "sign-in: one transaction is tried for ever",
        "identity/sign_in/machine.py",
        "if row.failures >= MAX_FAILURES:",
        "if False:",
        "tests/identity/sign_in/test_login.py tests/pages/test_sign_in.py",
    ),
    Mutant(
        "sign-in: a text message is a second factor after a text message",
        "identity/sign_in/factors/table.py",
        "if found and not assurance.satisfies(present, level):",
        "if found or able:",
        "tests/sdk_api/test_mobile.py tests/pages/test_second_factor.py",
    ),
    Mutant(
        "sign-in: a session's maximum age is ignored",
        "identity/sign_in/machine.py",
        "    if max_age_seconds is None:\n        return True",
        "    if True:\n        return True",
        "tests/specs/oidcc/test_two_tabs.py",
    ),
    # Credentials and throttle
    Mutant(
        "throttle: a locked row still counts",
        "identity/throttle.py",
        "WHERE c.locked_until IS NULL OR c.locked_until <= {now}",
        "WHERE c.failures >= 0 OR c.locked_until <= {now}",
        "tests/identity/test_throttle.py tests/pages/test_sign_in.py",
    ),
    Mutant(
        "throttle: one more try than allowed",
        "identity/throttle.py",
        '"room": limit.count - self.weight,',
        '"room": limit.count - self.weight + 1,',
        "tests/identity/test_throttle.py",
    ),
    Mutant(
        "throttle: a window never ends",
        "identity/throttle.py",
        '"over": instant(now - limit.window),',
        '"over": instant(now - limit.window * 1000),',
        "tests/identity/test_throttle.py",
    ),
    Mutant(
        "throttle: one good try clears the source",
        "identity/throttle.py",
        '{"failures": F("failures") - 1, "locked_until": None}',
        '{"failures": 0, "locked_until": None}',
        "tests/identity/test_throttle.py tests/identity/test_throttle_attacks.py",
    ),
    Mutant(
        "throttle: of IPv6 every address is a source",
        "identity/throttle.py",
        "_SUBSCRIBER_BITS = 64",
        "_SUBSCRIBER_BITS = 128",
        "tests/identity/test_throttle_attacks.py",
    ),
    Mutant(
        "credentials: the password is compared before the try is counted",
        "identity/sign_in/authentication.py",
        "        attempt = throttle.admit(tenant=tenant, user=user, name=resolved.name, context=context)\n",
        "        credentials.check_password(user=user, password=password)\n"
        "        attempt = throttle.admit(tenant=tenant, user=user, name=resolved.name, context=context)\n",
        "tests/pages/test_sign_in.py",
    ),
    Mutant(
        "credentials: a disabled person is told before the password",
        "identity/sign_in/authentication.py",
        "    user = resolved.user\n    with turn",
        "    user = resolved.user\n    if user is not None and not user.is_usable:\n"
        '        raise AccountDisabled(log_detail="")\n    with turn',
        "tests/pages/test_sign_in.py",
    ),
    Mutant(
        "credentials: the old password does for the new one",
        "identity/passwords/credentials.py",
        '    if is_same(old_password, new_password):\n        raise PasswordRefused("PARAM.0020")\n',
        "",
        "tests/identity/passwords/test_credentials.py tests/sdk_api/test_login.py",
    ),
    # Codes
    Mutant(
        "verification: a code is tried for ever",
        "identity/sign_in/verification.py",
        "pk=row.pk, consumed_at=None, failures__lt=MAX_TRIES, expires_at__gt=timezone.now()",
        "pk=row.pk, consumed_at=None, expires_at__gt=timezone.now()",
        "tests/sdk_api/test_mobile.py tests/pages/test_second_factor.py",
    ),
    Mutant(
        "verification: a code is spent twice",
        "identity/sign_in/verification.py",
        "filter(pk=proved.row.pk, consumed_at=None).update",
        "filter(pk=proved.row.pk).update",
        "tests/identity/sign_in/test_verification.py",
    ),
    Mutant(
        "verification: somebody else's code does",
        "identity/sign_in/verification.py",
        "if row is None or (user is not None and row.user_id != user.pk):",
        "if row is None:",
        "tests/identity/sign_in/test_verification.py",
    ),
    Mutant(
        "captcha: a token does for another telephone",
        "identity/sign_in/captcha.py",
        "crypto.matches_keyed_hash(_sender_key(sender, tenant=tenant), row.sender_hash, purpose=_PURPOSE),",
        "",
        "tests/sdk_api/test_captcha.py",
    ),
    Mutant(
        "captcha: an answer may be given again",
        "identity/sign_in/captcha.py",
        "filter(pk=row.pk, checked_at=None, expires_at__gt=now)",
        "filter(pk=row.pk, expires_at__gt=now)",
        "tests/sdk_api/test_captcha.py",
    ),
    # Grants
    Mutant(
        "grants: the grace of a used refresh token is a minute",
        "oidc_provider/conf.py",
        "    refresh_token_grace: timedelta = timedelta(seconds=10)",
        "    refresh_token_grace: timedelta = timedelta(seconds=60)",
        "tests/specs/rfc6749/test_token_endpoint.py",
    ),
    Mutant(
        "grants: a refresh token of another client",
        "oidc_provider/token/refresh_token.py",
        "if not token.was_given_to(asked.client, dialect=asked.facts.dialect.name):",
        "if False:",
        "tests/specs/rfc6749/test_token_endpoint.py",
    ),
    Mutant(
        "grants: a code is redeemed by another client",
        "oidc_provider/token/authorization_code.py",
        "if not code.was_given_to(asked.client, dialect=asked.facts.dialect.name):",
        "if False:",
        "tests/specs/rfc6749/test_token_endpoint.py",
    ),
    Mutant(
        "grants: a code without a verifier",
        "oidc_provider/grants/pkce.py",
        "if code.code_challenge and not verifier:",
        "if False:",
        "tests/dialects/test_refusals.py",
    ),
    Mutant(
        "grants: an assertion for several audiences",
        "oidc_provider/clients/authentication.py",
        'if isinstance(document["aud"], list) and len(document["aud"]) != 1:',
        "if False:",
        "tests/specs/rfc6749/test_client_authentication.py",
    ),
    Mutant(
        "grants: a logout token is a hint",
        "oidc_provider/grants/hints.py",
        'if kind != "JWT" or claims',
        "if claims",
        "tests/specs/oidc_rpinitiated",
    ),
    # Who may change what, tenants and hosts
    Mutant(
        "authority: an operator of another tenant",
        "identity/authority.py",
        "is_foreign = isinstance(actor, User) and actor.tenant_id != user.tenant_id",
        "is_foreign = False",
        "tests/identity/test_authority.py tests/identity/directory/test_users.py tests/admin/test_scope.py",
    ),
    Mutant(
        "authority: a machine changes an operator",
        "identity/authority.py",
        "if is_privileged(user) or is_foreign",
        "if is_foreign",
        "tests/tenant_api/test_operators.py",
    ),
    Mutant(
        "authority: the last superuser goes",
        "identity/authority.py",
        "if without.is_superuser and not _able_superusers().exclude(pk=without.pk).exists():",
        "if False:",
        "tests/identity/test_authority.py tests/identity/directory/test_users.py tests/admin/test_work.py",
    ),
    Mutant(
        "tenants: pages on the host that all tenants share",
        "identity/middleware.py",
        ' and request.path_info.startswith("/api/")',
        "",
        "tests/pages/test_request_context.py",
    ),
    Mutant(
        "cookies: a script reads them",
        "identity/cookies.py",
        "        httponly=True,\n",
        "        httponly=False,\n",
        "tests/pages/test_cookies.py",
    ),
    # Outgoing calls
    Mutant(
        "outbound: an address is judged by its name only",
        "identity/outbound.py",
        "if literal is not None and not _is_allowed(literal, internal=internal):",
        "if False:",
        "tests/identity/test_outbound.py",
    ),
    Mutant(
        "outbound: user information in an address",
        "identity/outbound.py",
        'or "@" in target.netloc or',
        "or",
        "tests/identity/test_outbound.py",
    ),
    # Apps
    Mutant(
        "sdk: the state_token of another step",
        "sdk_api/authentication.py",
        'if claims["step"] not in steps:',
        "if False:",
        "tests/sdk_api/test_login.py tests/sdk_api/test_second_factor.py",
    ),
    Mutant(
        "sdk: the state_token of another issuer",
        "sdk_api/authentication.py",
        "                issuer=caller.tenant.public_id,\n",
        "",
        "tests/sdk_api/test_login.py",
    ),
]


def main() -> int:
    """Make the chosen changes one after another; 1 where one was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only changes whose name holds one of them")
    parser.add_argument("--list", action="store_true", help="name them, and check that the code still holds each text")
    options = parser.parse_args()
    chosen = [each for each in MUTANTS if not options.words or any(word in each.name for word in options.words)]
    old = [each.name for each in chosen if (ROOT / each.file).read_text(encoding="utf-8").count(each.before) != 1]
    if old:
        say("The code does not hold the text of these exactly once:\n  " + "\n  ".join(old))
        return 1
    if options.list:
        say("\n".join(each.name for each in chosen))
        return 0
    missed = []
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        copy_checkout(copy)
        for number, mutant in enumerate(chosen, start=1):
            is_noticed = notices(mutant, copy)
            say(f"{number:3}/{len(chosen)}  {'noticed' if is_noticed else 'MISSED '}  {mutant.name}")
            if not is_noticed:
                missed.append(mutant)
    say(f"{len(chosen) - len(missed)} of {len(chosen)} were noticed.")
    return 1 if missed else 0


def say(line: str) -> None:
    """Print at once, since the next line is minutes away."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def copy_checkout(copy: Path) -> None:
    """Copy what the tests need, and nothing that one of them wrote."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy2(source, copy / name)
    # A migrated database that a test run here has left behind spares the copy a minute.
    (copy / "var" / "test").mkdir(parents=True)
    for template in (ROOT / "var" / "test").glob("template-*"):
        shutil.copy2(template, copy / "var" / "test")


def notices(mutant: Mutant, copy: Path) -> bool:
    """Tell whether a test fails with the change. Raises where no test could run at all."""
    file = copy / mutant.file
    good = file.read_text(encoding="utf-8")
    file.write_text(good.replace(mutant.before, mutant.after), encoding="utf-8")
    tests = [test for test in mutant.tests.split() if (copy / test).exists()]
    if not tests:
        raise LookupError(f"{mutant.name}: none of its tests exists")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    finally:
        file.write_text(good, encoding="utf-8")
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{mutant.name}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr}")
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
