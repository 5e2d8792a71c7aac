"""The races: each is a number of tries, and what came of them is counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import requests

from tests.races.world import Crowd, World

HEAD_START_SECONDS = 20  # at most, until everybody has done once what they do
REFRESHERS = 6
SIGNING_IN = 6
AT_ONCE = 20
TABS = 6
SIGN_INS, PROOFS = 20, 100


@dataclass
class Outcome:
    """What the tries of one race came to."""

    tries: int = 0
    refused: int = 0  # changes that were answered with anything but success
    made: int = 0  # sessions and grants that were made or used meanwhile
    survivors: int = 0  # of these, that still opened something afterwards
    wrong_winners: int = 0  # tries in which not exactly the right number won
    faults: Counter[int] = field(default_factory=Counter)  # answers of 500 and more to anybody else

    @property
    def is_good(self) -> bool:
        return not (self.refused or self.survivors or self.wrong_winners or self.faults)


Race = Callable[[World, Outcome], None]


def run(race: Race, world: World, *, tries: int) -> Outcome:
    """Do it so often."""
    outcome = Outcome()
    for _number in range(tries):
        outcome.tries += 1
        race(world, outcome)
    return outcome


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HEAD_START_SECONDS
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.002)


# Whoever is to be kept out keeps refreshing -------------------------------------------------------------------


def _refreshers(world: World, outcome: Outcome) -> tuple[list[dict[str, Any]], list[Callable[[], bool]]]:
    """Grants of a browser, and for each what uses it and remembers what it gave last."""
    browser = world.sign_in()
    grants = [world.grant(browser) for _number in range(REFRESHERS)]

    def refresher(tokens: dict[str, Any]) -> Callable[[], bool]:
        def act() -> bool:
            answer = world.refresh(tokens["refresh_token"])
            if answer.status_code >= 500:
                outcome.faults[answer.status_code] += 1
                return True
            if answer.status_code == 200:
                tokens.update(answer.json(), uses=tokens.get("uses", 0) + 1)
            return answer.status_code == 200

        return act

    return grants, [refresher(tokens) for tokens in grants]


def _revoke(world: World, outcome: Outcome, change: Callable[[], requests.Response], *, success: int) -> None:
    grants, acts = _refreshers(world, outcome)
    crowd = Crowd(acts)
    _wait_until(lambda: all("uses" in tokens for tokens in grants))
    answer = change()
    outcome.refused += answer.status_code != success
    crowd.stop()
    outcome.made += len(grants)
    if answer.status_code == success:
        outcome.survivors += sum(world.is_alive(tokens) for tokens in grants)


def disable(world: World, outcome: Outcome) -> None:
    """Disabled while programs refresh."""
    _revoke(world, outcome, world.disable, success=200)
    world.enable()


def set_password(world: World, outcome: Outcome) -> None:
    """A new password by the tenant API while programs refresh."""
    _revoke(world, outcome, world.set_password, success=200)


def change_own_password(world: World, outcome: Outcome) -> None:
    """The own password, changed in the browser, while programs refresh."""
    browser = world.sign_in()
    _revoke(world, outcome, lambda: world.change_own_password(browser), success=302)


# Whoever knows the old password keeps signing in ---------------------------------------------------------------


def app_sign_ins(world: World, outcome: Outcome) -> None:
    """Sign-ins of apps with the old password beside the change of it."""
    old, opened = world.password, list[str]()

    def act() -> bool:
        token = world.sign_in_app(old)
        if token:
            opened.append(token)
        return bool(token)

    crowd = Crowd([act] * SIGNING_IN)
    _wait_until(lambda: len(opened) >= SIGNING_IN)
    outcome.refused += world.set_password().status_code != 200
    crowd.stop()
    outcome.made += len(opened)
    outcome.survivors += sum(world.is_app_signed_in(token) for token in opened)


def browser_sign_ins(world: World, outcome: Outcome) -> None:
    """Sign-ins of browsers with the old password beside the person's own change of it."""
    own, old, opened = world.sign_in(), world.password, list[requests.Session]()

    def act() -> bool:
        browser = world.sign_in(old)
        is_in = "monban_session" in browser.cookies
        if is_in:
            opened.append(browser)
        return is_in

    crowd = Crowd([act] * SIGNING_IN)
    _wait_until(lambda: len(opened) >= SIGNING_IN)
    outcome.refused += world.change_own_password(own).status_code != 302
    crowd.stop()
    outcome.made += len(opened)
    outcome.survivors += sum(world.is_signed_in(browser) for browser in opened)


# Whoever is signed in keeps asking for grants -------------------------------------------------------------------


def authorizations(world: World, outcome: Outcome) -> None:
    """Codes with offline_access for a browser that is signed in, beside a new password; half are redeemed at once."""
    _ask_beside(world, outcome, world.sign_in(), lambda: world.set_password().status_code == 200)


def cut_off(world: World, outcome: Outcome) -> None:
    """Codes with offline_access for a browser whose session is ended from another one."""
    lost, own = world.sign_in(), world.sign_in()
    sid = world.sid_of(world.grant(lost))
    _ask_beside(world, outcome, lost, lambda: world.end_session(own, sid).status_code == 302)


def _ask_beside(world: World, outcome: Outcome, browser: requests.Session, change: Callable[[], bool]) -> None:
    browsers = [world.tab_of(browser) for _number in range(SIGNING_IN)]
    codes, grants = list[str](), list[dict[str, Any]]()

    def asker(browser: requests.Session, *, redeems: bool) -> Callable[[], bool]:
        def act() -> bool:
            code = world.authorize(browser)
            if code and redeems:
                _redeem(world, outcome, code, grants)
            elif code:
                codes.append(code)
            return bool(code)

        return act

    crowd = Crowd([asker(browser, redeems=bool(number % 2)) for number, browser in enumerate(browsers)])
    _wait_until(lambda: bool(codes and grants))
    outcome.refused += not change()
    crowd.stop()
    outcome.made += len(codes) + len(grants)
    for code in codes:
        _redeem(world, outcome, code, grants)
    outcome.survivors += sum(world.is_alive(tokens) for tokens in grants)


def _redeem(world: World, outcome: Outcome, code: str, grants: list[dict[str, Any]]) -> None:
    answer = world.redeem(code)
    if answer.status_code >= 500:
        outcome.faults[answer.status_code] += 1
    elif answer.status_code == 200:
        grants.append(answer.json())


# What is good for one use ---------------------------------------------------------------------------------------


def _at_once(act: Callable[[], requests.Response], times: int) -> list[requests.Response]:
    barrier = Barrier(times)

    def wait_and_act(_number: int) -> requests.Response:
        barrier.wait(30)
        return act()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(wait_and_act, range(times)))


def redemptions(world: World, outcome: Outcome) -> None:
    """One code, redeemed by many at once: one wins, and what it won ends with the replay."""
    code = world.authorize(world.sign_in())
    answers = _at_once(lambda: world.redeem(code), AT_ONCE)
    won = [answer.json() for answer in answers if answer.status_code == 200]
    outcome.made += len(answers)
    outcome.wrong_winners += len(won) != 1
    outcome.survivors += sum(world.is_alive(tokens) for tokens in won)
    outcome.faults.update(answer.status_code for answer in answers if answer.status_code >= 500)


def tabs(world: World, outcome: Outcome) -> None:
    """One refresh token, used by several tabs at once: each gets a token, and the grant lives on."""
    tokens = world.grant(world.sign_in())
    answers = _at_once(lambda: world.refresh(tokens["refresh_token"]), TABS)
    won = [answer.json() for answer in answers if answer.status_code == 200]
    outcome.made += len(answers)
    is_lost = any(world.userinfo(each["access_token"]).status_code != 200 for each in won)
    outcome.wrong_winners += len(won) != TABS or is_lost
    outcome.faults.update(answer.status_code for answer in answers if answer.status_code >= 500)


def time_steps(world: World, outcome: Outcome) -> None:
    """One time step of an app, sent a hundred times at once in twenty sign-ins: one passes."""
    sign_ins = [world.begin_with_app() for _number in range(SIGN_INS)]
    code, hands = world.fresh_code(), sign_ins * (PROOFS // SIGN_INS)
    answers = _at_once(lambda: world.prove(hands.pop(), code), PROOFS)
    outcome.made += len(answers)
    outcome.wrong_winners += sum(answer.status_code == 200 for answer in answers) != 1
    outcome.faults.update(answer.status_code for answer in answers if answer.status_code >= 500)


RACES: tuple[Race, ...] = (
    disable,
    set_password,
    change_own_password,
    app_sign_ins,
    browser_sign_ins,
    authorizations,
    cut_off,
    redemptions,
    tabs,
    time_steps,
)
