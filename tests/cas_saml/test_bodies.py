"""Answers as text: what no XML document may hold, and every fault's row."""

from datetime import UTC, datetime, timedelta, timezone
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_saml.cas import bodies, errors
from cas_saml.cas.errors import CASError, Fault
from identity import errors as identity_errors

NS = {"cas": "http://www.yale.edu/tp/cas"}


@given(st.text(st.characters(exclude_categories=("Cs",))), st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_makes_a_well_formed_answer(name: str, value: str) -> None:
    content = bodies.success(name, {"a": value, "b": [value, name]}, is_json=False).body
    found = ElementTree.fromstring(content).find("cas:authenticationSuccess/cas:attributes", NS)
    assert found is not None
    assert len(found) == 3


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_ticket_makes_a_well_formed_refusal(ticket: str) -> None:
    for fault in Fault:
        content = bodies.failure(CASError(fault).spec, ticket=ticket, is_json=False).body
        found = ElementTree.fromstring(content).find("cas:authenticationFailure", NS)
        assert found is not None
        assert len(found) == 0


def test_a_name_of_two_lines_is_no_other_name() -> None:
    assert bodies.plain_success("ming\nhui").body == b"no\n\n"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2020, 2, 3, 16, tzinfo=UTC),
        datetime(2020, 2, 4, 0, 0, 0, 999, tzinfo=timezone(timedelta(hours=8))),
    ],
)
def test_moments_are_utc_with_milliseconds(moment: datetime) -> None:
    assert bodies.moment(moment) == "2020-02-03T16:00:00.000Z"


def test_every_fault_has_a_row_with_its_source() -> None:
    assert set(errors.ROWS) == set(Fault)
    assert all(row.code and row.text_xml and row.text_json and "-" in row.source for row in errors.ROWS.values())


def test_an_error_that_nobody_mapped_is_ours() -> None:
    assert errors.from_domain(identity_errors.NotFound("APP.0001")).fault is Fault.INTERNAL
    assert errors.from_domain(identity_errors.AccessDenied()).fault is Fault.USER
