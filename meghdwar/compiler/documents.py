"""Files and what they import: one document for each file, and one scope of names for each document.

No file is read twice, nothing is fetched over a network, and names that a packaged library brings (the normative
types of each version, `meghdwar.yaml`, profiles) are found without a file beside the descriptor.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from meghdwar import resources
from meghdwar.compiler import grammar, published, rules
from meghdwar.compiler.scope import TYPE_KINDS, RawType, Scope
from meghdwar.compiler.source import LIST, MAP, Node, read
from meghdwar.diagnostics import Diagnostic, Rule, Span, did_you_mean

IMPORT_DEPTH_MAX = 32

_SIMPLE = "tosca_simple_yaml_"
VERSIONS: Mapping[str, tuple[str, str]] = {  # header -> (version, the library that comes with it)
    **{f"{_SIMPLE}{v}": (v.replace("_", "."), f"{_SIMPLE}{v}") for v in ("1_0", "1_1", "1_2", "1_3")},
    **{f"{_SIMPLE}{v}_0": (v.replace("_", "."), f"{_SIMPLE}{v}") for v in ("1_0", "1_1", "1_2", "1_3")},
    **{
        f"http://docs.oasis-open.org/tosca/ns/simple/yaml/{v}": (v, f"{_SIMPLE}{v.replace('.', '_')}")
        for v in ("1.0", "1.1", "1.2", "1.3")
    },
    **dict.fromkeys(
        ("tosca_simple_profile_for_nfv_1_0_0", "tosca_simple_profile_for_nfv_1_0", "tosca_simple_nfv_1_0_0"),
        ("1.0", "tosca_simple_profile_for_nfv_1_0_0"),
    ),
    "tosca_simple_profile_for_mec_1_0_0": ("1.0", "tosca_simple_profile_for_mec_1_0_0"),
    "tosca_2_0": ("2.0", ""),
}


class Files(Protocol):
    """Where files come from: a folder or a package. Paths are relative to its root, with forward slashes."""

    def read(self, path: str) -> bytes | None: ...
    def exists(self, path: str) -> bool: ...
    def names(self) -> list[str]: ...


@dataclass(slots=True, eq=False)
class Document:
    path: str
    node: Node
    version: str
    scope: Scope
    packaged: bool = False
    imports: list[tuple[Document, str]] = field(default_factory=list)

    @property
    def major(self) -> str:
        return self.version[:1]

    @property
    def grammar(self) -> grammar.Grammar:
        return grammar.GRAMMARS[self.major]


def load(files: Files, entry: str) -> tuple[list[Document], dict[str, str], list[Diagnostic]]:
    """The document `entry` first, then all that it imports; the text of each file read; what went wrong."""
    loader = _Loader(files)
    loader.document(entry, Span(entry), ())
    return list(loader.documents()), loader.texts, loader.diagnostics


@cache
def profiles() -> Mapping[str, str]:
    """Import and profile names that the package itself answers -> file."""
    text = (resources.tosca() / "profiles.yaml").read_bytes()
    node, _ = read(text, "profiles.yaml")
    return {name: value.text for name, value in node.map.items()} if node else {}


@cache
def library(file: str) -> Document:
    """A packaged file and what it imports. Packaged files are right, as the tests prove: nobody checks them again."""
    return _Loader(_Packaged()).packaged(file)


class _Packaged:
    def read(self, path: str) -> bytes | None:
        return (resources.tosca() / path).read_bytes()

    def exists(self, path: str) -> bool:
        return (resources.tosca() / path).is_file()

    def names(self) -> list[str]:
        return []


class _Loader:
    def __init__(self, files: Files) -> None:
        self.files = files
        self.read_documents: dict[str, Document | None] = {}
        self.texts: dict[str, str] = {}
        self.diagnostics: list[Diagnostic] = []
        self.main: Scope | None = None
        self.declared: dict[str, str] | None = None  # profile name -> path, of files beside the descriptor

    def say(self, rule: Rule, span: Span, message: str, help_: str, related: tuple[tuple[Span, str], ...] = ()) -> None:
        self.diagnostics.append(Diagnostic(rule, span, message, help_, related))

    def documents(self) -> Iterator[Document]:
        return (document for document in self.read_documents.values() if document is not None)

    def packaged(self, file: str) -> Document:
        node, diagnostics = read((resources.tosca() / file).read_bytes(), file)
        assert node is not None, diagnostics  # noqa: S101 - the tests read every packaged file
        version, own = VERSIONS[node.map["tosca_definitions_version"].text]
        base = None
        if version != "2.0" and profiles().get(own) != file and not file.startswith("tosca_simple"):
            base = library(profiles()[own]).scope
        document = Document(file, node, version, Scope(version[:1], base), packaged=True)
        for item in node.section("imports").values() or (node.get("imports") or node).list:
            name = item.text or next((item.map[k].text for k in ("file", "url", "profile") if k in item.map), "")
            inner = library(profiles().get(name, name))
            self.merge(document, inner, "", item)
        self.own_names(document)
        return document

    def document(self, path: str, origin: Span, above: tuple[str, ...]) -> Document | None:
        """The document of a path, read once; None when it cannot be read."""
        if path in self.read_documents:
            return self.read_documents[path]
        content = self.files.read(path)
        if content is None:
            self.say(rules.IMPORT_NOT_FOUND, origin, f"cannot find {path!r}", "give the path of a file that is there")
            return None
        self.read_documents[path] = None
        node, problems = read(content, path)
        self.texts[path] = _text(content)
        self.diagnostics.extend(problems)
        if node is None:
            return None
        if not node.is_map:
            message = f"cannot read a service template from a {node.kind}: it has to be a map"
            self.say(rules.WRONG_SHAPE, node.span, message, "begin with `tosca_definitions_version: ...`")
            return None
        version, lib = self.version(node, above)
        base = library(profiles()[lib]).scope if lib else None
        main = self.main if version[:1] == "1" and self.main is not None and self.main.major == "1" else None
        document = Document(path, node, version, Scope(version[:1], base, main))
        self.main = self.main or document.scope
        self.read_documents[path] = document
        self.imports(document, above)
        self.own_names(document)
        return document

    def version(self, node: Node, above: tuple[str, ...]) -> tuple[str, str]:
        header = node.get("tosca_definitions_version")
        if header is None and above and self.main is not None and self.main.major == "1":
            self.say(
                rules.VERSION_INHERITED,
                Span(node.file),
                "this file says no tosca_definitions_version: that of the file that imports it counts",
                "begin it with tosca_definitions_version",
            )
            first = next(document for document in self.documents())
            said = first.node.get("tosca_definitions_version")
            return VERSIONS.get(said.text if said is not None else "", VERSIONS[f"{_SIMPLE}1_3"])
        if header is None:
            help_ = "begin the file with `tosca_definitions_version: tosca_simple_yaml_1_3` or another version"
            self.say(
                rules.NO_VERSION,
                Span(node.file),
                "cannot tell which TOSCA this is: no tosca_definitions_version",
                help_,
            )
            return "1.3", VERSIONS[f"{_SIMPLE}1_3"][1]
        found = VERSIONS.get(header.text) if header.is_scalar else None
        if found is None:
            help_ = did_you_mean(header.text, VERSIONS) or "known are " + ", ".join(
                v for v in VERSIONS if "://" not in v
            )
            self.say(rules.UNKNOWN_VERSION, header.span, f"cannot read TOSCA version {header.text!r}", help_)
            return ("2.0", "") if "2" in header.text[:8] else ("1.3", VERSIONS[f"{_SIMPLE}1_3"][1])
        if found[0] == "2.0" and next(iter(node.map)) != "tosca_definitions_version":
            self.say(
                rules.NO_VERSION,
                header.key_span,
                "cannot accept tosca_definitions_version below other keys: it has to come first",
                "move it to the top of the file",
            )
        return found

    # imports
    def imports(self, document: Document, above: tuple[str, ...]) -> None:
        section = document.node.get("imports")
        document.scope.repositories.update(document.node.section("repositories"))
        if section is None:
            return
        before = sum(item.is_error for item in self.diagnostics)
        if not section.is_list:
            self.say(
                rules.WRONG_SHAPE,
                section.span,
                f"cannot read imports from a {section.kind}: it has to be a list",
                "put a dash before each import",
            )
        for item in section.list:
            for entry in self.entries(item, document):
                self.one_import(document, entry, above)
        document.scope.incomplete |= sum(item.is_error for item in self.diagnostics) > before

    def entries(self, item: Node, document: Document) -> Iterator[Node]:
        """An import as a map or as text; the old form `- name: {file: ...}` is the value below the name."""
        keys = {
            "1": ("file", "repository", "namespace_uri", "namespace_prefix", "description", "metadata"),
            "2": ("url", "profile", "repository", "namespace", "description", "metadata"),
        }[document.major]
        if (
            item.is_map
            and len(item.map) == 1
            and not set(item.map) & {*keys, "file", "url", "profile"}
            and document.major == "1"
        ):
            yield from item.map.values()
            return
        if item.is_map:
            for key, value in item.map.items():
                if key not in keys:
                    help_ = did_you_mean(key, keys) or "it has " + ", ".join(keys)
                    self.say(
                        rules.UNKNOWN_KEY, value.key_span, f"cannot use {key!r} here: an import has no such key", help_
                    )
        elif not item.is_scalar or item.is_null:
            self.say(
                rules.WRONG_SHAPE,
                item.span,
                f"cannot read an import from a {item.kind}: it has to be a path or a map",
                "write the path of the file",
            )
            return
        yield item

    def one_import(self, document: Document, item: Node, above: tuple[str, ...]) -> None:
        target = item if item.is_scalar else item.get("file") or item.get("url") or item.get("profile")
        if target is None or not target.is_scalar or not target.text:
            self.say(
                rules.MISSING_KEY,
                item.key_span,
                "cannot read an import without its 'file'",
                "say `file: PATH`" if document.major == "1" else "say `url: PATH` or `profile: NAME`",
            )
            return
        if document.major == "2" and item.get("url") is not None and item.get("profile") is not None:
            self.say(
                rules.UNKNOWN_KEY,
                item.map["profile"].key_span,
                "cannot import a profile and a file at once",
                "write two imports",
            )
        prefix_node = item.get("namespace_prefix") or item.get("namespace")
        prefix = prefix_node.text if prefix_node else ""
        found = self.find(document, item, target, above)
        if found is not None:
            document.imports.append((found, prefix))
            self.merge(document, found, prefix, target)

    def find(self, document: Document, item: Node, target: Node, above: tuple[str, ...]) -> Document | None:
        name = target.text
        if item.get("profile") is target:
            return self.profile(target, above)
        repository = item.get("repository")
        if repository is not None:
            base = document.scope.repositories.get(repository.text)
            if base is None:
                help_ = did_you_mean(repository.text, document.scope.repositories) or "declare it under `repositories`"
                self.say(
                    rules.UNKNOWN_REPOSITORY, repository.span, f"cannot find repository {repository.text!r}", help_
                )
                return None
            url = base.text or (base.get("url").text if base.get("url") else "")  # type: ignore[union-attr]
            name = (
                posixpath.join(url, name)
                if "://" in url
                else posixpath.normpath(posixpath.join(url.removeprefix("file:"), name))
            )
        if "://" in name or name.startswith("file:"):
            known = published.packaged(name)
            if known is not None:
                return library(known)
            help_ = "put the file beside the descriptor and import it by its path"
            self.say(
                rules.IMPORT_REMOTE, target.span, f"cannot import {name!r}: nothing is fetched while compiling", help_
            )
            return None
        if name.startswith("/") and document.major == "2":  # from the root of the folder or package
            path = posixpath.normpath(name.lstrip("/"))
        else:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(document.path), name))
        if path in (document.path, *above):
            chain = " -> ".join([*(above[above.index(path) :] if path in above else ()), document.path, path])
            if path == (above[0] if above else document.path):
                self.say(
                    rules.IMPORT_CYCLE,
                    target.span,
                    f"cannot import {name!r}: it imports this file again ({chain})",
                    "move what both need into a third file",
                )
            else:
                self.say(
                    rules.IMPORT_MUTUAL,
                    target.span,
                    f"{name!r} imports this file again ({chain})",
                    "move what both need into a third file",
                )
            return None
        if len(above) >= IMPORT_DEPTH_MAX:
            self.say(
                rules.IMPORT_CYCLE,
                target.span,
                f"cannot import {name!r}: more than {IMPORT_DEPTH_MAX} files deep",
                "import the deeper ones directly",
            )
            return None
        if path in self.read_documents or self.files.read(path) is not None:
            return self.document(path, target.span, (*above, document.path))
        packaged = profiles().get(name) or profiles().get(posixpath.basename(name))
        if packaged is not None:
            return library(packaged)
        meant = self.seen_from_elsewhere(name, document)
        if meant is not None and meant not in (document.path, *above):
            message = f"cannot find {name!r} beside this file: {meant!r} is taken, as if the path began elsewhere"
            relative = posixpath.relpath(meant, posixpath.dirname(document.path) or ".")
            wrong = Diagnostic(rules.IMPORT_NOT_FOUND, target.span, message, f"write {relative!r}")
            self.diagnostics.append(wrong.as_warning())
            return self.document(meant, target.span, (*above, document.path))
        if path.startswith(("../", "/")) and not self.files.exists(".."):  # above a package there is nothing
            help_ = "put the file into the package and import it from there"
            self.say(rules.IMPORT_OUTSIDE, target.span, f"cannot import {name!r}: it is not in the package", help_)
            return None
        near = did_you_mean(name, [*profiles(), *self.files.names()])
        self.say(
            rules.IMPORT_NOT_FOUND, target.span, f"cannot find {name!r}", near or f"it would have to be at {path!r}"
        )
        return None

    def seen_from_elsewhere(self, name: str, document: Document) -> str | None:
        """1.x: the file that is meant by a path that begins at the descriptor's folder or above it, and not at that
        of the file which imports it."""
        here = posixpath.dirname(document.path)
        if document.major != "1" or not here or name.startswith(("/", "..")):
            return None
        from_top, folder = posixpath.normpath(name), posixpath.dirname(posixpath.normpath(name))
        if self.files.read(from_top) is not None:
            return from_top
        beside = posixpath.join(here, posixpath.basename(name))
        if folder and f"/{folder}".endswith(f"/{here}") and self.files.read(beside) is not None:
            return beside
        return None

    def profile(self, target: Node, above: tuple[str, ...]) -> Document | None:
        """A profile by name: a packaged one, or a file beside the descriptor that declares it."""
        packaged = profiles().get(target.text)
        if packaged is not None:
            return library(packaged)
        if self.declared is None:
            self.declared = {}
            for name in self.files.names():
                content = self.files.read(name) if name.endswith((".yaml", ".yml")) else None
                if content and b"profile:" in content:
                    node, _ = read(content, name)
                    declared = node.get("profile") if node is not None else None
                    if declared is not None:
                        self.declared.setdefault(declared.text, name)
        path = self.declared.get(target.text)
        if path is not None:
            return self.document(path, target.span, above)
        help_ = (
            did_you_mean(target.text, [*profiles(), *self.declared]) or "put the profile's file beside the descriptor"
        )
        self.say(rules.UNKNOWN_PROFILE, target.span, f"cannot find profile {target.text!r}", help_)
        return None

    # names
    def merge(self, document: Document, imported: Document, prefix: str, at: Node) -> None:
        """The names of an imported document, with its prefix, in the scope of the one that imports it."""
        mine, theirs = document.scope, imported.scope
        mine.incomplete |= theirs.incomplete
        lead = prefix + ":" if prefix else ""
        for kind, names in theirs.names.items():
            here = mine.names[kind]
            for name, raw in names.items():
                other = here.setdefault(lead + name, raw)
                if other is not raw and document.major == "2" and not document.packaged:
                    self.say(
                        rules.NAME_IMPORTED_TWICE,
                        at.span,
                        f"cannot import {kind} type {name!r} twice: another import brings it too",
                        "import one of them with a namespace",
                    )
                elif other is not raw and raw.scope.library is not None:
                    here[lead + name] = raw  # in 1.x the later import counts
                    if other.scope.library is not None and other.node.data() != raw.node.data():
                        self.diagnostics.append(self.different(kind, name, other, raw, at))
        for name, node in theirs.functions.items():
            mine.functions.setdefault(lead + name, node)
        for name, node in theirs.repositories.items():
            other_repository = mine.repositories.setdefault(lead + name, node)
            if other_repository is not node and document.major == "2":
                self.say(
                    rules.NAME_IMPORTED_TWICE,
                    other_repository.key_span,
                    f"cannot declare repository {name!r} twice: an import brings it too",
                    "give one of them another name",
                )

    def different(self, kind: str, name: str, other: RawType, raw: RawType, at: Node) -> Diagnostic:
        message = f"{kind} type {name!r} comes from two imports and is not the same in them: this one counts"
        places = ((raw.node.key_span, "this one"), (other.node.key_span, "the other one"))
        return Diagnostic(
            rules.NAME_IMPORTED_TWICE, at.span, message, "import one of the two files", places
        ).as_warning()

    def own_names(self, document: Document) -> None:
        scope = document.scope
        for section, kind in TYPE_KINDS.items():
            for name, node in document.node.section(section).items():
                if node.form == MAP or node.is_null:
                    own = self.kind_of(kind, node, scope) if document.major == "1" and kind == "node" else kind
                    if own != kind:
                        self.say(
                            rules.MISPLACED_TYPE,
                            node.key_span,
                            f"{name!r} stands among the {section.replace('_', ' ')} but derives from a {own} type",
                            f"move it to {own}_types",
                        )
                    scope.names[own][name] = RawType(own, name, node, scope)
        template = document.node.get("service_template") if document.major == "2" else None
        for holder in (document.node, *((template,) if template is not None else ())):
            for name, node in holder.section("functions").items():
                if node.form != LIST:
                    scope.functions[name] = node

    def kind_of(self, kind: str, node: Node, scope: Scope) -> str:
        """The kind of a type by its parent: real files put capability types among node types."""
        derived = node.get("derived_from")
        if derived is None or scope.lookup(kind, derived.text) is not None:
            return kind
        return next((other for other in TYPE_KINDS.values() if scope.lookup(other, derived.text) is not None), kind)


def _text(content: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")
