"""The one parser: what no SAML message needs does not get through it."""

from __future__ import annotations

import base64
import time
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_saml.saml import xml

pytestmark = pytest.mark.security("S18")


def refusal(data: bytes, **options: bool) -> str:
    with pytest.raises(xml.XMLRefused) as caught:
        xml.parse(data, **options)
    return caught.value.reason


BILLION_LAUGHS = b"""<!DOCTYPE a [
<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>"""


@pytest.mark.security("S21")
@pytest.mark.parametrize(
    "document",
    [
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a PUBLIC "x" "http://127.0.0.1:9/dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/dtd"> %x;]><a/>',
        b'<!DOCTYPE a [<!ATTLIST a ID CDATA "other">]><a/>',
        b'<?xml version="1.0"?>\n<!DOCTYPE a []><a/>',
        BILLION_LAUGHS,
    ],
    ids=["empty", "system", "public", "external", "parameter", "attribute_default", "internal", "billion_laughs"],
)
@pytest.mark.parametrize("are_comments_dropped", [False, True], ids=["message", "metadata"])
def test_a_document_type_is_refused(document, are_comments_dropped):
    assert refusal(document, are_comments_dropped=are_comments_dropped) == "doctype"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"<a>&unknown;</a>", "not_xml"),
        (b"", "not_xml"),
        (b"<a>", "not_xml"),
        (b"<a/><b/>", "not_xml"),
        (b"<a>\x01</a>", "not_xml"),
        (b"<a b='1' b='2'/>", "not_xml"),
        (b"<x:a/>", "not_xml"),
        (b"<a>\x00</a>", "encoding"),
        ("<!DOCTYPE a []><a/>".encode("utf-16"), "encoding"),
        ("<!DOCTYPE a []><a/>".encode("utf-16-be"), "encoding"),
        (b"<?xml version='1.0' encoding='utf-7'?><a>+ADw-</a>", "encoding"),
        (b"<?xml version='1.0' encoding='iso-8859-1'?><a/>", "encoding"),
        (b"<a>\xff</a>", "encoding"),
        (b"<a>\xed\xa0\x80</a>", "encoding"),
        (b"<?xml version='1.1'?><a/>", "not_xml"),
        (b"<a xmlns='relative'/>", "not_xml"),
    ],
    ids=[
        *("unknown_entity", "empty", "open", "two_roots", "control", "repeated_attribute", "unbound_prefix", "nul"),
        *("utf16", "utf16_bare", "utf7", "latin1", "not_utf8", "surrogate", "xml11"),
        "relative_namespace",
    ],
)
def test_what_other_parsers_might_read_differently_is_refused(document, reason):
    assert refusal(document) == reason


@pytest.mark.parametrize("declared", ["utf-16", "UTF-16", "ISO-10646-UCS-2", "utf-8"])
def test_a_message_whose_declaration_can_be_read_is_in_utf_8_whatever_it_says(declared):
    document = f'<?xml version="1.0" encoding="{declared}"?><a>é漢</a>'
    assert xml.text_of(xml.parse(document.encode())) == "é漢"


@pytest.mark.parametrize("name", ["utf-7", "idna", "unicode_escape", "rot13", "zlib", "undefined", "nonsense"])
def test_a_file_in_something_that_is_no_encoding_of_xml_is_refused(name):
    with pytest.raises(xml.XMLRefused):
        xml.decode(f'<?xml version="1.0" encoding="{name}"?><a/>'.encode())


@pytest.mark.security("S18")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "gb18030", "shift_jis"])
def test_a_document_type_is_seen_in_every_encoding(encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>'
    with pytest.raises(xml.XMLRefused) as refused:
        xml.parse_text(xml.decode(text.encode(encoding)))
    assert refused.value.reason == "doctype"


@pytest.mark.parametrize(
    "document",
    [
        b"<a>admin@example.org<!-- -->.evil.example</a>",
        b"<!-- x --><a/>",
        b"<a/><!-- x -->",
        b"<a>x<?y z?></a>",
        b"<?y z?><a/>",
        b"<a/><?y z?>",
    ],
    ids=["truncation", "before", "after", "instruction", "instruction_before", "instruction_after"],
)
def test_comments_and_instructions_are_refused_in_messages(document):
    assert refusal(document) == "comment_or_instruction"


def test_comments_in_metadata_do_not_cut_texts():
    root = xml.parse(b"<!-- a --><a>admin<!-- b -->@example<?c d?>.org</a>", are_comments_dropped=True)
    assert (xml.text_of(root), len(root)) == ("admin@example.org", 0)


def test_a_text_with_elements_in_it_is_no_text():
    with pytest.raises(xml.XMLRefused, match="element_in_text"):
        xml.text_of(xml.parse(b"<a>admin<b/>.evil.example</a>"))


def test_character_data_is_the_text_that_it_stands_for():
    assert xml.text_of(xml.parse(b"<a>a<![CDATA[<b>]]>&amp;c</a>")) == "a<b>&c"


@pytest.mark.security("S17")
@pytest.mark.parametrize(
    "document",
    [b"<a ID='x'><b ID='x'/></a>", b"<a ID='x'><b Id='x'/></a>", b"<a ID='x'><b xml:id='x'/></a>"],
    ids=["same_name", "other_name", "xml_id"],
)
def test_one_id_twice_is_refused(document):
    assert refusal(document) == "duplicate_id"


@pytest.mark.security("S21")
@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"<a>" + b"x" * xml.MAX_MESSAGE_BYTES + b"</a>", "too_large"),
        (b"<a>" * 33 + b"</a>" * 33, "too_deep"),
        (b"<a>" * 9000 + b"</a>" * 9000, "not_xml"),
        (b"<a " + b" ".join(b"a%d=''" % i for i in range(65)) + b"/>", "too_many_nodes"),
        (b"<a>" + b"<b a=''/>" * 7000 + b"</a>", None),
    ],
    ids=["bytes", "depth", "great_depth", "attributes", "just_enough"],
)
def test_size_depth_and_number_are_bounded(document, reason):
    started = time.process_time()
    if reason is None:
        assert len(xml.parse(document)) == 7000
    else:
        assert refusal(document) == reason
    assert time.process_time() - started < 1


@pytest.mark.security("S21")
def test_the_number_of_nodes_is_bounded_in_large_documents_too():
    with pytest.raises(xml.XMLRefused, match="too_many_nodes"):
        xml.parse(b"<a>" + b"<b/>" * xml.MAX_NODES + b"</a>", max_bytes=xml.MAX_METADATA_BYTES)


@pytest.mark.parametrize("value", ["%%%", "PGEvPg", "PGEvPg==x", "é", "PGEv\u2028Pg=="])
def test_what_is_not_base64_is_refused(value):
    with pytest.raises(xml.XMLRefused, match="not_"):
        xml.parse_base64(value)


def test_a_posted_message_may_be_deflated_as_node_saml_sends_it():
    written = xml.serialize(xml.element("samlp:AuthnRequest", {"ID": "_1"}))
    for level in range(10):
        compressor = zlib.compressobj(level, wbits=-15)
        deflated = compressor.compress(written) + compressor.flush()
        assert xml.parse_base64(base64.b64encode(deflated).decode()).get("ID") == "_1"


@pytest.mark.security("S21")
def test_a_posted_deflate_bomb_is_refused():
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(b"<a>" + b" " * 20_000_000) + compressor.flush()
    started = time.process_time()
    with pytest.raises(xml.XMLRefused, match="too_large"):
        xml.parse_base64(base64.b64encode(bomb).decode())
    assert time.process_time() - started < 1


def test_base64_may_have_line_breaks():
    assert xml.is_named(xml.parse_base64(base64.encodebytes(b"<a>" + b"x" * 100 + b"</a>").decode()), "a")


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_being_refused(data):
    try:
        xml.parse(data)
    except xml.XMLRefused:
        return


@given(st.text(max_size=60))
def test_every_text_can_be_written_and_read_again(text):
    written = xml.serialize(xml.element("saml:NameID", {"SPNameQualifier": text}, text))
    assert xml.text_of(xml.parse(written)) == xml.text_of(xml.element("saml:NameID", None, text))


def test_a_child_that_may_be_there_once_is_not_chosen_among_two():
    root = xml.element("samlp:AuthnRequest", None, *[xml.element("saml:Issuer", None, name) for name in "ab"])
    with pytest.raises(xml.XMLRefused, match="repeated_element"):
        xml.find(root, "saml:Issuer")


@pytest.mark.spec("SAMLCore-1.3.3")
@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-11-22T03:10:17Z", datetime(2026, 11, 22, 3, 10, 17, tzinfo=UTC)),
        ("2026-11-22T03:10:17.123Z", datetime(2026, 11, 22, 3, 10, 17, 123000, tzinfo=UTC)),
        ("2026-11-22T03:10:17.123456789Z", datetime(2026, 11, 22, 3, 10, 17, 123456, tzinfo=UTC)),
        ("2026-11-22T11:10:17+08:00", datetime(2026, 11, 22, 3, 10, 17, tzinfo=UTC)),
    ],
    ids=["seconds", "milliseconds", "nanoseconds", "zone"],
)
def test_instants_are_read_in_utc(value, moment):
    assert xml.parse_instant(value) == moment


@pytest.mark.spec("SAMLCore-1.3.3")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2026-11-22",
        "2026-13-22T03:10:17Z",
        "0001-01-01T00:00:00+10:00",
        "٢026-11-22T03:10:17Z",
    ],
    ids=["empty", "word", "date", "month", "overflow", "digits"],
)
def test_an_instant_without_sense_is_refused(value):
    with pytest.raises(xml.XMLRefused, match="instant"):
        xml.parse_instant(value)


@pytest.mark.spec("SAMLCore-1.3.4")
def test_ids_are_names_and_random():
    made = {xml.new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(each[0] == "_" and len(each) == 41 for each in made)
