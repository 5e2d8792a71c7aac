"""XML in and out: the one parser, and the few helpers that build and read SAML's elements.

`parse` is the only way by which foreign XML becomes elements. It takes bytes, never a file or an address, and refuses
what SAML has no use for and attacks need (S18, S21): document types and entities, other encodings than UTF-8, comments
and processing instructions, two elements with one ID, more bytes, nodes, attributes or depth than any message has.
Nobody else in this package makes a parser of documents. What comes in another encoding is an operator's file: `decode`
makes a text of it, which is judged like any other.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from lxml import etree

# lxml has no types of its own.
Element: TypeAlias = Any
Attributes: TypeAlias = Mapping[str, str | datetime | None]

NAMESPACES: Mapping[str, str] = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xenc": "http://www.w3.org/2001/04/xmlenc#",
    "xenc11": "http://www.w3.org/2009/xmlenc11#",
    "xs": "http://www.w3.org/2001/XMLSchema",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "ec": "http://www.w3.org/2001/10/xml-exc-c14n#",
    "alg": "urn:oasis:names:tc:SAML:metadata:algsupport",
    "mdui": "urn:oasis:names:tc:SAML:metadata:ui",
}

# A signed AuthnRequest with a certificate in it has about 5 kB.
MAX_MESSAGE_BYTES = 64 * 1024
MAX_METADATA_BYTES = 1024 * 1024
MAX_NODES = 20_000  # elements and attributes together
MAX_DEPTH = 32
MAX_ATTRIBUTES = 64  # of one element
RAW_DEFLATE = -15  # RFC1951, without a header

_DECLARED_ENCODING = re.compile(rb"^<\?xml[^>]*?\bencoding\s*=\s*[\"']([^\"']*)[\"']")
_ENCODINGS = frozenset({b"utf-8", b"us-ascii", b"ascii"})
# A .NET StringWriter declares what its strings are in memory; bytes in which the declaration can be read are not that.
_NEVER_OF_READABLE_BYTES = frozenset({b"utf-16", b"utf-16le", b"utf-16be", b"ucs-2", b"iso-10646-ucs-2", b"unicode"})
_ENCODING_OF_TEXT = re.compile(r"""^(<\?xml\b[^>]*?)\s+encoding\s*=\s*("[^"]*"|'[^']*')""")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\x00", "utf-16-le"),  # XML-F.1: without a mark
    (b"\x00<", "utf-16-be"),
)
# What is written under these names is often the larger set that holds it.
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "sjis": "cp932", "euc-kr": "cp949"}
# Names that Python knows and no XML processor may: they hide characters from whoever looks at the bytes.
_NO_ENCODINGS = ("utf-7", "idna", "punycode", "unicode_escape", "unicode-escape", "raw_unicode_escape", "undefined")
_SPACES = re.compile("[ \t\r\n]+")
# XML-2.2: everything else cannot be in a document at all.
_NOT_A_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# SAMLCore-1.3.3: UTC, with or without a fraction. Some senders write +00:00 for Z, and some read "with no time zone
# component" as no letter at all.
_INSTANT = re.compile(r"^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?$", re.ASCII)


class Refused(ValueError):
    """A message, certificate or signature breaks a rule. `reason` is a fixed word for the log and the audit."""

    def __init__(self, reason: str, *, log_detail: str = "") -> None:
        self.reason = reason
        self.log_detail = log_detail
        super().__init__(reason)


class XMLRefused(Refused):
    """The bytes are not XML, or XML that no SAML message needs."""


# In --------------------------------------------------------------------------------------------------------


def parse(data: bytes, *, max_bytes: int = MAX_MESSAGE_BYTES, are_comments_dropped: bool = False) -> Element:
    """Return the root element of a document.

    are_comments_dropped: for metadata files, which people annotate; their comments and processing instructions
    vanish and the text around them is one text. In messages they are refused: a name identifier that is read up to
    its comment is somebody else's.
    Raises XMLRefused.
    """
    if len(data) > max_bytes:
        raise XMLRefused("too_large")
    data = data.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    _check_encoding(data)
    # Entities can be declared nowhere else, so nothing is expanded and nothing fetched.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise XMLRefused("doctype")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        collect_ids=False,
        remove_comments=are_comments_dropped,
        remove_pis=are_comments_dropped,
        encoding="utf-8",
    )
    try:
        root = etree.fromstring(data, parser=parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise XMLRefused("not_xml") from error
    if len(parser.error_log):  # XML 1.1, relative names of namespaces: canonical forms differ or fail there
        raise XMLRefused("not_xml")
    _check_document(root)
    return root


def decode(data: bytes) -> str:
    """Decode a document in UTF-8, UTF-16 or the encoding that it declares (XML-4.3.3). Raises XMLRefused."""
    marked = next(((mark, name) for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if marked is not None:
        encoding = marked[1]
    else:
        declared = _DECLARED_ENCODING.match(data.lstrip(b" \t\r\n")[:200])
        name = declared.group(1).lower() if declared is not None else b"utf-8"
        encoding = "utf-8" if name in _ENCODINGS | _NEVER_OF_READABLE_BYTES else name.decode("ascii", "replace")
    try:
        if encoding in _NO_ENCODINGS:
            raise LookupError
        if marked is None:
            etree.XMLParser(encoding=encoding)  # what lxml does not know is no encoding of XML
        text = data.decode(_SUPERSETS.get(encoding, encoding))
    except (LookupError, ValueError) as error:
        raise XMLRefused("encoding") from error
    return text.removeprefix("\ufeff")


def parse_text(text: str, *, max_bytes: int = MAX_METADATA_BYTES, are_comments_dropped: bool = False) -> Element:
    """Return the root element of a document that is text already, whatever encoding it declares. Raises XMLRefused."""
    bare = _ENCODING_OF_TEXT.sub(r"\1", text.removeprefix("\ufeff").lstrip(" \t\r\n"))
    try:
        data = bare.encode()
    except UnicodeEncodeError as error:
        raise XMLRefused("encoding") from error
    return parse(data, max_bytes=max_bytes, are_comments_dropped=are_comments_dropped)


def parse_base64(value: str, *, max_bytes: int = MAX_MESSAGE_BYTES) -> Element:
    """Return the root element of a message in a form field (SAMLBind-3.5.4). Raises XMLRefused.

    node-saml deflates there too, unless it is told not to; no XML begins with such a byte.
    """
    data = decode_base64(value, max_bytes=max_bytes)
    if data.lstrip(b" \t\r\n")[:1] not in b"<\xef\xfe\xff\x00":
        data = inflate(data)
    return parse(data, max_bytes=max_bytes)


def inflate(data: bytes) -> bytes:
    """Undo DEFLATE. S21: a kilobyte can become a megabyte, so it stops at what a message may have.

    Raises XMLRefused.
    """
    decompressor = zlib.decompressobj(RAW_DEFLATE)
    try:
        inflated = decompressor.decompress(data, MAX_MESSAGE_BYTES + 1)
    except zlib.error as error:
        raise XMLRefused("not_deflated") from error
    if len(inflated) > MAX_MESSAGE_BYTES:
        raise XMLRefused("too_large")
    if not decompressor.eof or decompressor.unused_data:
        raise XMLRefused("not_deflated")
    return inflated


def decode_base64(value: str, *, max_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
    """Decode standard Base64, line breaks allowed. Raises XMLRefused."""
    if len(value) > max_bytes * 2:
        raise XMLRefused("too_large")
    try:
        return base64.b64decode(_SPACES.sub("", value).encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise XMLRefused("not_base64") from error


def _check_encoding(data: bytes) -> None:
    """UTF-8 only: in another encoding the bytes could say what the checks below do not see."""
    declared = _DECLARED_ENCODING.match(data[:200])
    if declared is not None and declared.group(1).lower() not in _ENCODINGS | _NEVER_OF_READABLE_BYTES:
        raise XMLRefused("encoding")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise XMLRefused("encoding") from error
    if b"\x00" in data:
        raise XMLRefused("encoding")


def _check_document(root: Element) -> None:
    docinfo = root.getroottree().docinfo
    if docinfo.doctype or docinfo.internalDTD is not None or docinfo.externalDTD is not None:
        raise XMLRefused("doctype")
    if root.getprevious() is not None or root.getnext() is not None:
        raise XMLRefused("comment_or_instruction")
    seen_ids: set[str] = set()
    nodes = 0
    for node, depth in _walk(root):
        if not isinstance(node.tag, str):  # a comment, an instruction, an entity
            raise XMLRefused("comment_or_instruction")
        attributes = node.attrib
        nodes += 1 + len(attributes)
        if nodes > MAX_NODES or len(attributes) > MAX_ATTRIBUTES:
            raise XMLRefused("too_many_nodes")
        if depth > MAX_DEPTH:
            raise XMLRefused("too_deep")
        for name, value in attributes.items():
            if name.rpartition("}")[2].lower() == "id":  # ID, Id and xml:id alike
                # S17: a reference by ID means one element only if there is only one.
                if value in seen_ids:
                    raise XMLRefused("duplicate_id")
                seen_ids.add(value)


def _walk(root: Element) -> Iterator[tuple[Element, int]]:
    """Return every node under the root with its depth, without recursion."""
    stack = [(root, 1)]
    while stack:
        node, depth = stack.pop()
        yield node, depth
        stack.extend((child, depth + 1) for child in node)


# Reading ---------------------------------------------------------------------------------------------------


def qname(name: str) -> str:
    """Return the spelling that lxml has for "saml:Issuer"."""
    prefix, _, local = name.rpartition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}" if prefix else local


def find(parent: Element, name: str) -> Element | None:
    """Return the child with this name, or None. Raises XMLRefused if there are several: which one would be meant?"""
    found = parent.findall(qname(name))
    if len(found) > 1:
        raise XMLRefused("repeated_element", log_detail=name)
    return found[0] if found else None


def find_all(parent: Element, name: str) -> list[Element]:
    """Return the children with this name, in order."""
    return list(parent.findall(qname(name)))


def text_of(element: Element | None) -> str:
    """Return the text of an element, stripped; empty for None. Raises XMLRefused if the element has children."""
    if element is None:
        return ""
    if len(element):
        raise XMLRefused("element_in_text", log_detail=element.tag)
    return (element.text or "").strip()


def is_named(element: Element, name: str) -> bool:
    """Tell whether this is a "samlp:AuthnRequest"."""
    return bool(element.tag == qname(name))


def parse_instant(value: str) -> datetime:
    """Read an xs:dateTime, in UTC where it names no zone (SAMLCore-1.3.3). Raises XMLRefused."""
    match = _INSTANT.match(value)
    if match is None:
        raise XMLRefused("instant")
    fraction = (match.group(7) or "")[:7]  # datetime knows microseconds
    zone = "+00:00" if match.group(8) in ("Z", None) else match.group(8)
    try:
        return datetime.fromisoformat(value[:19] + fraction + zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise XMLRefused("instant") from error


# Out -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """An element that is to be made: `Node("saml:Issuer", "https://…")`."""

    name: str
    content: str | Sequence[Node | Element | str | None] = ()
    attributes: Attributes = field(default_factory=dict)
    prefixes: Sequence[str] = ()


def make(node: Node) -> Element:
    """Make the element with all that is in it."""
    content = (node.content,) if isinstance(node.content, str) else node.content
    return element(node.name, node.attributes, *content, prefixes=node.prefixes)


def element(
    name: str,
    attributes: Attributes | None = None,
    *content: Node | Element | str | None,
    prefixes: Iterable[str] = (),
) -> Element:
    """Make an element: `element("saml:Issuer", None, "https://…")`.

    attributes: names may have a prefix too ("xsi:type"); moments are spelled, and None is left out.
    content: children and texts in their order; None is left out. Characters that XML cannot carry are dropped.
    prefixes: further namespace declarations, for prefixes that stand in values.
    """
    prefix, _, _local = name.rpartition(":")
    nsmap = {each: NAMESPACES[each] for each in (*([prefix] if prefix else []), *prefixes)}
    made = etree.Element(qname(name), nsmap=nsmap)
    for key, value in (attributes or {}).items():
        if value is not None:
            made.set(qname(key), instant(value) if isinstance(value, datetime) else clean(value))
    for each in content:
        if isinstance(each, str):
            _append_text(made, clean(each))
        elif each is not None:
            made.append(make(each) if isinstance(each, Node) else each)
    return made


def _append_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def clean(text: str) -> str:
    """Return the text without the characters that no XML document can have (XML-2.2)."""
    return _NOT_A_CHARACTER.sub("", text)


def serialize(root: Element, *, has_declaration: bool = False) -> bytes:
    """UTF-8 bytes, as they are: what is signed must not be reformatted."""
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=has_declaration))


def instant(moment: datetime) -> str:
    """SAMLCore-1.3.3: UTC, whole seconds, with a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_id() -> str:
    """SAMLCore-1.3.4: an NCName of 160 random bits."""
    return f"_{secrets.token_hex(20)}"
