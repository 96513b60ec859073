"""The names that a document can use, and the types behind them as they were written."""

from __future__ import annotations

from meghdwar.compiler.source import Node

TYPE_KINDS = {
    "artifact_types": "artifact", "data_types": "data", "capability_types": "capability",
    "interface_types": "interface", "relationship_types": "relationship",
    "node_types": "node", "group_types": "group", "policy_types": "policy",
}  # fmt: skip


class RawType:
    """A type as written, and the scope in which the names that it uses are looked up."""

    __slots__ = ("kind", "name", "node", "resolved", "scope")

    def __init__(self, kind: str, name: str, node: Node, scope: Scope) -> None:
        self.kind = kind
        self.name = name
        self.node = node
        self.scope = scope
        self.resolved: object = None


class Scope:
    """The names that a document can use: its own, the imported ones, and those of its version's library."""

    __slots__ = ("functions", "incomplete", "library", "main", "major", "names", "repositories", "short")

    def __init__(self, major: str, library: Scope | None = None, main: Scope | None = None) -> None:
        self.major = major
        self.library = library
        self.main = main  # 1.x: the scope of the first file, for real files lean on what others import
        self.names: dict[str, dict[str, RawType]] = {kind: {} for kind in TYPE_KINDS.values()}
        self.functions: dict[str, Node] = {}
        self.repositories: dict[str, Node] = {}
        self.short: dict[str, dict[str, RawType]] = {}
        self.incomplete = False  # an import failed

    def lookup(self, kind: str, name: str) -> RawType | None:
        """The type of that name: as written, or by the short or `tosca:` name of a normative one."""
        found = self.names[kind].get(name)
        if found is None and self.library is not None:
            found = self.library.lookup(kind, name) or self.library.lookup_short(kind, name)
        if found is None and self.main is not None:
            found = self.main.names[kind].get(name)
        return found

    def lookup_short(self, kind: str, name: str) -> RawType | None:
        if kind not in self.short:
            table = self.short[kind] = {}
            for full, raw in self.names[kind].items():
                head, _, rest = full.partition(".")
                if head == "tosca" and "." in rest:
                    table.setdefault(rest.partition(".")[2], raw)
            for full, raw in self.names[kind].items():
                if full.startswith("tosca."):
                    table.setdefault(full.rpartition(".")[2], raw)
        return self.short[kind].get(name.removeprefix("tosca:"))

    def known(self, kind: str) -> list[str]:
        """Every name of a kind, for a suggestion."""
        return [*self.names[kind], *(self.library.names[kind] if self.library else ())]
