"""Finds the guards of the product, and compiles a module without one of them.

A guard is what one can take out so that something more is let through:

- a refusal: a statement that raises, that notes a fault, that returns one, or that calls a check;
- one alternative of a condition before a refusal, and one clause of a predicate (-> bool);
- one entry of a table (a constant, or what a loop goes through);
- one mark of a declared field of a manifest: `!` required, `-` refused, `<A|B>`, `@key`.

The bounds in Range and in regular expressions are values of rules, which go as a whole.
"""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
_PRODUCT: Final = ROOT / "chalicelib"
_NAMED: Final = {
    "domain": "backends dns domains exposures fields ingress_routes reserved rules tokens",
    "routes": "authentication declarations events handler http parameters strict_json table"
    " throttle",
    "services": "access",
    "gateways": "kubeconfig tls",
}
MODULES: Final = (
    *sorted((_PRODUCT / "domain/admission").glob("*.py")),
    *(_PRODUCT / part / f"{name}.py" for part in _NAMED for name in _NAMED[part].split()),
)
# Tables that allow, name, word or dispatch: without an entry less is let through, or another table
# would have to change with it. By the end of the module's path.
NO_GUARDS: Final = {
    "containers": "_LISTS",
    "domains": "_KNOWN",
    "environment": "_SOURCES",
    "events": "_KNOWN _SCHEDULE",
    "exposures": "EXPOSE",
    "fields": "CONTACT_CHANGES FRIENDSHIP NEW_FRIEND PLATFORM_IDS _REACHES",
    "handler": "_HEADERS _OTHER_REFUSAL _REFUSALS",
    "harden": "_CONTAINER_LISTS",
    "ingress_routes": "ENTRY_POINTS",
    "kubeconfig": "_CERTIFICATE_KEYS _CLUSTER_KEYS _CONTEXT_KEYS _TOKEN_KEYS _TOP_KEYS",
    "manifests": "_RULES",
    "metadata": "_HARMLESS_ANNOTATIONS",
    "pods": "_DNS_POLICIES",
    "quantities": "_SHOWN_IN _SUFFIXES",
    "references": "_DIVISORS _IN_BOTH _IN_VARIABLES _IN_VOLUMES",
    "refusals": "REFUSED _METADATA",
    "routes/declarations": "PREFER",
    "rules": "ANY_TEXT",
    "scalars": "_FLAGS",
    "schedules": "_FIELDS _LONGEST_MONTHS _MACROS",
    "schema": "_IMPLIED _UNKNOWN",
    "security": "_REQUIRED _SAFE_SYSCTLS _SELINUX_TYPES",
    "selectors": "_WITH_VALUES",
    "service_ports": "_PROTOCOLS",
    "services": "_AFFINITIES",
    "shapes": "SHAPES _SCALARS",
    "strategies": "_STRATEGIES",
    "table": "ROUTES",
    "tls": "_CERTIFICATE_FAULTS",
    "volumes": "_PROJECTED _SOURCES",
    "workloads": "_COMPLETION_MODES _CONCURRENCY_POLICIES _DEPLOYMENT_RESTARTS _JOB_RESTARTS",
}
_CHECK: Final = re.compile(
    r"_?(?:check|refuse|require)\w*|remove|replace|no_body|take|_authenticate"
)
_FAULT: Final = re.compile(r"\w*fault(?:_of)?|\w*problem")
_STRICTER: Final = frozenset({("required", "True"), ("nullable", "False")})
_MARK: Final = re.compile(r"(?<!\S)(\w+)(!)?(?::(\S+))?(?!\S)")


@dataclass(frozen=True)
class Guard:
    """The index-th guard of a module (a path from the root).

    reached: the line that the tests reach which may notice that it is out: of a condition, the
    refusal. word: what its tests may name. is_late: it does something when the module is used, and
    not while that is imported.
    """

    path: str
    index: int
    line: int
    reached: int
    text: str
    word: str
    is_late: bool

    def __str__(self) -> str:
        """Where it is, and what."""
        return f"{self.path}:{self.line}: {self.text}"


def find_guards(path: Path) -> list[Guard]:
    """Return the guards of a module."""
    cutter = _Cutter(str(path.relative_to(ROOT)))
    cutter.visit(ast.parse(path.read_text(encoding="utf-8")))
    return cutter.found


def compile_without(guard: Guard) -> CodeType:
    """Return the guard's module without the guard."""
    path = ROOT / guard.path
    tree = _Cutter(guard.path, guard.index).visit(ast.parse(path.read_text(encoding="utf-8")))
    return compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True)


class _Cutter(ast.NodeTransformer):
    """Goes through a module, finds every guard, and cuts the one that is wanted."""

    def __init__(self, path: str, wanted: int | None = None) -> None:
        self.found: list[Guard] = []
        self._path = path
        self._wanted = wanted
        self._functions: list[ast.FunctionDef] = []

    def _is_cut(
        self, node: ast.expr | ast.stmt, text: str = "", word: str = "", reached: int = 0
    ) -> bool:
        """Note a guard, and tell whether it is the one to cut."""
        index = len(self.found)
        text = " ".join((text or ast.unparse(node)).split())[:100]
        is_late = bool(self._functions)
        self.found.append(
            Guard(self._path, index, node.lineno, reached or node.lineno, text, word, is_late)
        )
        return index == self._wanted

    def _without(self, node: ast.stmt) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node) if self._is_cut(node) else node

    def _returns(self, wanted: str) -> bool:
        returns = self._functions[-1].returns if self._functions else None
        return returns is not None and ast.unparse(returns) == wanted

    def _returns_fault(self) -> bool:
        if self._returns("str | None"):
            return _FAULT.fullmatch(self._functions[-1].name) is not None
        return self._returns("list[Fault]")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self._functions.append(node)
        node.body = [_statement(self.visit(each)) for each in node.body]
        self._functions.pop()
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        return self._without(node) if self._is_refusal(node) else node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return self._without(node) if self._is_refusal(node) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        return self._without(node) if self._is_refusal(node) else node

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        if node.value is not None and self._returns("bool"):
            node.value = self._clauses(node.value)
        elif self._is_refusal(node):
            if self._returns("list[Fault]"):
                return ast.parse("return []").body[0] if self._is_cut(node) else node
            return self._without(node)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if any(map(self._is_refusal, node.body)):
            node.test = self._alternatives(node.test, reached=node.body[0].lineno)
        elif self._returns_fault() and isinstance(node.body[0], ast.Return):
            node.test = self._clauses(node.test)
        node.body = [_statement(self.visit(each)) for each in node.body]
        node.orelse = [_statement(self.visit(each)) for each in node.orelse]
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        node.iter = self._entries(node.iter)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        node.value = self._assigned(ast.unparse(node.targets[0]), node.value)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self._assigned(ast.unparse(node.target), node.value)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        # The only guard that is a comprehension's: which tokens are a caller's.
        if self._functions and self._functions[-1].name == "find_token":
            node.ifs = [] if any(map(self._is_cut, node.ifs)) else node.ifs
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.keyword | None:
        is_stricter = (node.arg, ast.unparse(node.value)) in _STRICTER
        return None if is_stricter and self._is_cut(node.value, ast.unparse(node)) else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        # A route that asks for no token.
        if not self._functions and ast.unparse(node) in {"Access.TOKEN", "Access.FRIEND"}:
            node.attr = "PUBLIC" if self._is_cut(node, word="role_matrix") else node.attr
        return node

    def _assigned(self, target: str, value: ast.expr) -> ast.expr:
        if self._path.endswith("declarations.py") and "admission" in self._path:
            return _Marks(self).visit(value)  # type: ignore[no-any-return]  # as every visit
        if self._functions:
            if target.startswith(("is_", "valid")):
                return self._clauses(value)
            self.generic_visit(value)
            return value
        self.generic_visit(value)
        tables = (each for key, each in NO_GUARDS.items() if self._path.endswith(f"/{key}.py"))
        exempt = next(tables, "").split()
        return value if target in exempt else self._entries(value)

    def _entries(self, table: ast.expr) -> ast.expr:
        """Return a table without the entry that is cut, if it is one."""
        if isinstance(table, ast.Call):
            table.args = [self._entries(each) for each in table.args]
        elif isinstance(table, ast.Tuple | ast.Set):
            table.elts = [each for each in table.elts if not self._is_entry_cut(each, each)]
        elif isinstance(table, ast.Dict):
            pairs = [
                (key, value)
                for key, value in zip(table.keys, table.values, strict=True)
                if not self._is_entry_cut(key, value)
            ]
            table.keys, table.values = [key for key, _ in pairs], [value for _, value in pairs]
        return table

    def _is_entry_cut(self, key: ast.expr | None, value: ast.expr) -> bool:
        if key is None or isinstance(value, ast.Starred):
            return False
        text = ast.unparse(key) if key is value else f"{ast.unparse(key)}: {ast.unparse(value)}"
        word = str(key.value) if isinstance(key, ast.Constant) else ""
        return self._is_cut(key, text, word)

    def _alternatives(self, test: ast.expr, reached: int) -> ast.expr:
        """Return a condition of a refusal without the alternative that is cut."""
        found = [*_alternatives(test)]
        left = [
            each for each in found if len(found) == 1 or not self._is_cut(each, reached=reached)
        ]
        return test if len(left) == len(found) else _joined(ast.Or(), left)

    def _clauses(self, test: ast.expr) -> ast.expr:
        """Return a predicate without the clause that is cut; a constant becomes its opposite."""
        if isinstance(test, ast.Constant):
            return ast.Constant(not test.value) if self._is_cut(test) else test
        is_or = isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or)
        found = [*(test.values if isinstance(test, ast.BoolOp) and is_or else _conjuncts(test))]
        left = [each for each in found if not self._is_cut(each)]
        if len(left) == len(found):
            return test
        return _joined(ast.Or() if is_or else ast.And(), left, nothing=not is_or)

    def _is_refusal(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.Raise):
            return node.exc is not None
        if isinstance(node, ast.AugAssign):
            return ast.unparse(node.target) == "faults"
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            is_noted = ast.unparse(node.value.func) == "faults.append"
            return is_noted or _CHECK.fullmatch(_name(node.value)) is not None
        if isinstance(node, ast.Return) and node.value is not None:
            if isinstance(node.value, ast.Call) and _name(node.value) in {"fault", "wrong_type"}:
                return True
            is_empty = ast.unparse(node.value) in {"None", "[]"}
            return not is_empty and self._returns_fault()
        return False


class _Marks(ast.NodeTransformer):
    """Takes a mark off a declared field, in the strings that declare them."""

    def __init__(self, cutter: _Cutter) -> None:
        self._cutter = cutter

    def visit_Dict(self, node: ast.Dict) -> ast.Dict:
        node.values = [self.visit(each) for each in node.values]
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.FormattedValue:
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        def loosen(match: re.Match[str]) -> str:
            return next(
                (
                    loose
                    for loose in _looser(match[1], match[2] or "", match[3] or "")
                    if self._cutter._is_cut(node, f"{match[0]} -> {loose}", match[1])  # noqa: SLF001 - the two are one
                ),
                match[0],
            )

        return ast.copy_location(ast.Constant(_MARK.sub(loosen, str(node.value))), node)


def _looser(name: str, required: str, kind: str) -> Iterable[str]:
    """Return a declared field's spellings that allow more."""
    if required:
        yield f"{name}:{kind}".rstrip(":")
    loose = "any" if kind == "-" else "string" if kind.startswith("<") else kind.partition("@")[0]
    if loose != kind:
        yield f"{name}{required}:{loose}"


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)


def _alternatives(test: ast.expr) -> Iterable[ast.expr]:
    """Yield what a condition is a disjunction of: a or b, as well as not (a and b)."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        for each in test.values:
            yield from _alternatives(each)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        for each in _conjuncts(test.operand):
            yield ast.copy_location(ast.UnaryOp(ast.Not(), each), test)
    else:
        yield test


def _conjuncts(test: ast.expr) -> Iterable[ast.expr]:
    """Yield what a condition is a conjunction of. A chain's middle is looked at twice: no harm."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for each in test.values:
            yield from _conjuncts(each)
    elif isinstance(test, ast.Compare) and len(test.ops) > 1:
        sides = [test.left, *test.comparators]
        for left, op, right in zip(sides, test.ops, test.comparators, strict=False):
            yield ast.copy_location(ast.Compare(left, [op], [right]), test)
    else:
        yield test


def _joined(op: ast.boolop, values: Sequence[ast.expr], *, nothing: bool = False) -> ast.expr:
    if len(values) > 1:
        return ast.BoolOp(op, [*values])
    return values[0] if values else ast.Constant(nothing)


def _statement(node: ast.AST) -> ast.stmt:
    assert isinstance(node, ast.stmt)
    return node
