"""Service addresses: what is read, what is refused, what lies below what (house plan, section 12)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cas_saml import addresses
from cas_saml.addresses import AddressInvalid, read


@pytest.mark.parametrize(
    ("text", "origin", "segments"),
    [
        ("https://a.example", "https://a.example", ()),
        ("https://a.example/", "https://a.example", ()),
        ("https://A.Example:443/App/", "https://a.example", ("App",)),
        ("http://127.0.0.1:8080/app/cas?x=%2F..%2f", "http://127.0.0.1:8080", ("app", "cas")),
        ("https://[2001:DB8::1]:8443/a;v=1/b", "https://[2001:db8::1]:8443", ("a;v=1", "b")),
        ("https://a.example//x", "https://a.example", ("", "x")),
        ("https://a.example?x={y}|z", "https://a.example", ()),
    ],
)
def test_an_address_is_read(text: str, origin: str, segments: tuple[str, ...]) -> None:
    found = read(text)
    assert (found.origin, found.segments, found.text) == (origin, segments, text)


@pytest.mark.security("S44")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.example/app",
        "//a.example/app",
        "ftp://a.example/",
        "javascript:alert(1)",
        "https://",
        "https:///app",
        "https://user@a.example/",
        "https://user:pass@a.example/",
        "https://a.example@b.example/",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:/",
        "https://a.example\\app",
        "https://a.example/app\\..\\admin",
        "https://a%2eexample/",
        "https://a.example/#x",
        "https://a.example/.",
        "https://a.example/app/../admin",
        "https://a.example/app/..",
        "https://a.example/app/..;/admin",
        "https://a.example/app/%2e%2e/admin",
        "https://a.example/app/%2E./admin",
        "https://a.example/app%2fadmin",
        "https://a.example/app%5cadmin",
        "https://a.example/app/%252e%252e/admin",
        "https://a.example/app/..%3b/admin",
        "https://a.example/app%00",
        "https://a.example/app%",
        "https://a.example/app%zz",
        "https://a.example/a b",
        "https://a.example/\r\nX: y",
        "https://a.example/?x=\n",
        "https://a.example/?x=<y>",
        'https://a.example/?x="',
        "https://ä.example/",
        "https://a.example/ä",
        "https://a.example/" + "x" * 2000,
    ],
)
def test_an_address_that_others_might_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(AddressInvalid):
        read(text)


@pytest.mark.security("S44")
@pytest.mark.parametrize(
    ("text", "is_below"),
    [
        ("https://a.example/app", True),
        ("https://a.example/app/", True),
        ("https://a.example/app/x?y", True),
        ("https://a.example/app?y", True),
        ("https://a.example:443/app", True),
        ("https://a.example/application", False),
        ("https://a.example/App", False),
        ("https://a.example//app", False),
        ("https://a.example/", False),
        ("https://a.example:8443/app", False),
        ("http://a.example/app", False),
        ("https://b.a.example/app", False),
        ("https://a.example.b.example/app", False),
    ],
)
@pytest.mark.parametrize("parent", ["https://a.example/app", "https://a.example/app/"])
def test_below_is_segment_by_segment_on_one_origin(text: str, is_below: bool, parent: str) -> None:
    assert read(text).is_below(read(parent)) is is_below


@given(st.text())
@example("https://a.example/\ud800")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read("https://a.example/app/" + text)
    except AddressInvalid:
        return
    assert found.origin == "https://a.example"
    assert found.is_below(read("https://a.example/app"))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://a.example", "https://a.example?t=1"),
        ("https://a.example/?", "https://a.example/?t=1"),
        ("https://a.example/?x", "https://a.example/?x&t=1"),
        ("https://a.example/?x&", "https://a.example/?x&t=1"),
    ],
)
def test_a_parameter_is_added_and_the_rest_left_alone(address: str, expected: str) -> None:
    assert addresses.with_parameter(address, "t=1") == expected


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://a.example/app;jsessionid=0A1B2C.node1", "https://a.example/app"),
        ("https://a.example/app;JSESSIONID=0A1B2C!-17", "https://a.example/app"),
        ("https://a.example/app;jsessionid=1?x=1", "https://a.example/app?x=1"),
        ("https://a.example/app?ticket=ST-1-a.b", "https://a.example/app"),
        ("https://a.example/app?x=1&ticket=ST-1&y=2", "https://a.example/app?x=1&y=2"),
        ("https://a.example/app;jsessionid=1?ticket=PT-1", "https://a.example/app"),
    ],
)
def test_what_an_earlier_visit_left_is_no_part_of_the_address(text: str, left: str) -> None:
    assert read(text).text == addresses.without_leftovers(text) == left
    assert read(text).segments == read(left).segments


@pytest.mark.security("S44")
@pytest.mark.parametrize(
    "text",
    [
        "https://a.example/app;v=1",
        "https://a.example/app;jsessionid=1/b",
        "https://a.example/app;jsessionid=1;v=1",
        "https://a.example/app?",
        "https://a.example/app?ticket=17",  # the application's own
        "https://a.example/app?Ticket=ST-1",
        "https://a.example/app?x=ticket=ST-1",
        "https://a.example/app?ticket=ST-1%26x=2",
        "https://a.example/app?x=;jsessionid=1",
        "no address;jsessionid=1?ticket=ST-1",
    ],
)
def test_anything_else_of_an_address_stays_as_it_is(text: str) -> None:
    assert addresses.without_leftovers(text) == text


@pytest.mark.security("S3")
@pytest.mark.parametrize("path", ["/app/..;jsessionid=1", "/..;jsessionid=1", "/app/%2e%2e;jsessionid=1"])
def test_a_servlets_session_hides_no_dot_segment(path: str) -> None:
    with pytest.raises(AddressInvalid):
        read(f"https://a.example{path}")
