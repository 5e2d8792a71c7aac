"""The message catalogues: collect texts, check that all are translated, compile.

    python scripts/messages.py update | compile | check

Works without the gettext tools. Texts come from three places: calls of the gettext functions in Python, Django
templates, and the messages of identity/error_codes.csv. Compiled catalogues are kept in
the repository, because a machine that only runs the server has nothing to compile them with; `check` proves that each
is what its .po file says.
"""

import ast
import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("zh_Hans", "ja")
PACKAGES = ("config", "identity", "oidc_provider", "miniapp", "tenant_api", "sdk_api", "cas_saml")
ERROR_CODES = "identity/error_codes.csv"

# Function name: positions of the text, the plural and the context among its arguments.
FUNCTIONS: dict[str, tuple[int, int | None, int | None]] = {
    "_": (0, None, None),
    "gettext": (0, None, None),
    "gettext_lazy": (0, None, None),
    "gettext_noop": (0, None, None),
    "ngettext": (0, 1, None),
    "ngettext_lazy": (0, 1, None),
    "pgettext": (1, None, 0),
    "pgettext_lazy": (1, None, 0),
    "npgettext": (1, 2, 0),
    "npgettext_lazy": (1, 2, 0),
}
STRING = r"""[uU]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
TEMPLATE_CALL = re.compile(rf"\b(_|n?p?gettext)\(\s*({STRING}(?:\s*,\s*{STRING})*)")
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?[diouxXeEfFgGcrs]|\{\w*\}")


@dataclass(frozen=True)
class Text:
    """One text to translate and the file it stands in."""

    message: str | tuple[str, str]  # the second is the plural
    context: str | None
    file: str


def collect() -> Iterator[Text]:
    """Yield every text of the project, in the order of its files."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield from python_texts(path)
    roots = [ROOT / "templates", *(ROOT / package / "templates" for package in PACKAGES)]
    for root in roots:
        for path in sorted(p for p in root.rglob("*") if p.suffix in (".html", ".txt")):
            yield from template_texts(path)
    with (ROOT / ERROR_CODES).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["message"] != row["code"]:  # one row of the document has no text
                yield Text(row["message"], None, ERROR_CODES)


def python_texts(path: Path) -> Iterator[Text]:
    """Yield the texts of a Python module. An imported alias counts as the function it stands for."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aliases = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        function = call.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        name = aliases.get(name, name)
        if name in FUNCTIONS:
            arguments = [a.value if isinstance(a, ast.Constant) else None for a in call.args]
            yield from text_of(name, arguments, path)


def template_texts(path: Path) -> Iterator[Text]:
    """Yield the texts of a Django template, by way of Django's own reading of it."""
    source = templatize(path.read_text(encoding="utf-8"), origin=str(path))
    for match in TEMPLATE_CALL.finditer(source):
        arguments = [ast.literal_eval(literal) for literal in re.findall(STRING, match[2])]
        yield from text_of(match[1], arguments, path)


def text_of(function: str, arguments: Sequence[object], path: Path) -> Iterator[Text]:
    """Yield the text of one call; a call whose text is not a literal has none."""
    at, plural_at, context_at = FUNCTIONS[function]
    wanted = [position for position in (at, plural_at, context_at) if position is not None]
    if len(arguments) <= max(wanted) or not all(isinstance(arguments[position], str) for position in wanted):
        return
    message = str(arguments[at])
    context = None if context_at is None else str(arguments[context_at])
    plural = None if plural_at is None else str(arguments[plural_at])
    yield Text(message if plural is None else (message, plural), context, path.relative_to(ROOT).as_posix())


def template_catalogue() -> Catalog:
    """Return a catalogue of all texts, without translations."""
    catalogue = Catalog()
    for text in collect():
        if text.message:
            catalogue.add(text.message, context=text.context, locations=[(text.file, 0)])
    return catalogue


def po_path(language: str) -> Path:
    """Return where a language's catalogue is."""
    return ROOT / "locale" / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    """Read a language's catalogue."""
    with po_path(language).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def compiled(language: str) -> bytes:
    """Compile a catalogue in memory."""
    buffer = io.BytesIO()
    write_mo(buffer, read(language))
    return buffer.getvalue()


def update() -> None:
    """Bring the catalogues in step with the texts: new ones are left empty, old ones dropped, nothing is guessed."""
    for language in LANGUAGES:
        catalogue = read(language)
        catalogue.update(template_catalogue(), no_fuzzy_matching=True, update_creation_date=False)
        catalogue.obsolete.clear()
        buffer = io.BytesIO()
        write_po(buffer, catalogue, width=110, include_lineno=False, omit_header=False)
        po_path(language).write_bytes(buffer.getvalue())


def compile_all() -> None:
    """Write the compiled catalogues."""
    for language in LANGUAGES:
        po_path(language).with_suffix(".mo").write_bytes(compiled(language))


def problems() -> Iterator[str]:
    """Yield what is wrong, one line each."""
    texts = template_catalogue()
    known = {(key_of(text), text.context) for text in texts if text.id}
    for language in LANGUAGES:
        catalogue = read(language)
        for text in texts:
            if not text.id:
                continue
            found = catalogue.get(key_of(text), text.context)
            where = f"{language}: {text.id!r} ({text.locations[0][0]})"
            if found is None:
                yield f"{where} is missing"
                continue
            translations = [found.string] if isinstance(found.string, str) else list(found.string or [])
            if not all(translations):
                yield f"{where} is not translated"
            elif found.fuzzy:
                yield f"{where} is fuzzy"
            else:
                yield from (
                    f"{where}: placeholders differ in {t!r}" for t in translations if not same_holes(text.id, t)
                )
        for message in catalogue:
            if message.id and (key_of(message), message.context) not in known:
                yield f"{language}: {message.id!r} is in the catalogue but nowhere else"
        mo_path = po_path(language).with_suffix(".mo")
        if not mo_path.is_file() or mo_path.read_bytes() != compiled(language):
            yield f"{language}: {mo_path.name} is not what {po_path(language).name} says; run `make messages`"


def key_of(message: Message) -> str:
    """Return the text by which a catalogue finds a message: the singular."""
    return message.id if isinstance(message.id, str) else message.id[0]


def same_holes(source: str | tuple[str, ...] | list[str], translation: str) -> bool:
    """Tell whether a translation has the placeholders of its text (of the plural, where there is one)."""
    text = source if isinstance(source, str) else source[-1]
    return sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(translation))


def main(arguments: list[str]) -> int:
    """Do what the command line asks."""
    settings.configure(USE_I18N=True)
    match arguments:
        case ["update"]:
            update()
        case ["compile"]:
            compile_all()
        case ["check"]:
            found = list(problems())
            print(*found, sep="\n", end="\n" if found else "")
            print(f"{len(found)} problems in the message catalogues." if found else "Message catalogues are complete.")
            return 1 if found else 0
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
