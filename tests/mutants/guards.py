"""Finds every guard: each place where a rule about what comes from outside says no.

A guard is what one can take out, so that something is let through:

- a refusal: a statement that raises, that notes a fault (report.refuse, faults.append, faults +=),
  or that returns one from a function of faults. Its effect goes, not its condition: that what
  follows would stumble does not count as a test that notices.
- one clause of a condition before a refusal (a or b), each bound of a range there (1 <= n <= 9),
  and each clause of a predicate (is_..., permits): it holds no more than the others do.
- a call of a checker, where it stands alone (check_..., require_..., refuse_...) or gives back
  what it has mended: the call, or that it reports.
- an entry of a table of what is forbidden, bounded or looked through, and of a tuple that a loop
  goes through; and a mark of a declared field: `!` required, `-` refused, `<a|b>`, `@key`.

No guard is: an entry of a list of what is allowed, and the type of a declared field (without it
more is refused, and good manifests notice, or the check of types itself is a guard); the bounds in
Range and in a regular expression (values, not rules: without the rule that asks they are moot);
what sets a default or mends a manifest; what passes an error on (a bare raise).
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
_PRODUCT: Final = ROOT / "chalicelib"
_NAMED: Final = {
    "domain": "checks rules fields display_names exposures domains dns ingress_routes record_plan"
    " tokens",
    "routes": "parameters http strict_json authentication throttle events declarations handler"
    " friends operations",
    "services": "access",
    "gateways": "kubeconfig tls",
}
MODULES: Final = frozenset(
    {
        *(_PRODUCT / "domain/admission").glob("*.py"),
        *(_PRODUCT / part / f"{name}.py" for part in _NAMED for name in _NAMED[part].split()),
    }
)
TABLES: Final = frozenset(
    "_LISTS _CONTAINER_LISTS _ACTED_UPON _SET_BY_CONTROLLERS _WEIGHTS _SPREAD _LABEL_KEYS _SHARED"
    " _FIXED _GRACE _PROBES _FIGURES _READINESS_FIGURES _OTHER_FIGURES _COUNTED_AS _TAKEN _IDS"
    " _TIMEOUT _REFUSED _DEPLOYMENT _JOB _REFUSED_IN_JOBS _CRON_JOB _TEMPLATES _RESERVED_IDS"
    " _RESERVED_NAMES _RESERVED_LABELS _PLACEHOLDERS _UNPRINTABLE _METADATA required".split()
)
_DECLARATIONS: Final = _PRODUCT / "domain/admission/declarations.py"
_CHECKER: Final = re.compile(
    r"_?(check|refuse|require)\w*|replace|remove|wrong_type|no_body|take|retell|_children|_RULES"
)
_FAULT: Final = re.compile(r"\w*(fault|mismatch)\w*|_unknown|unknown_fields")
_PREDICATE: Final = re.compile(r"_?(is|are|has|permits|fires)(_\w+)?|valid|find_token|\w*canonical\w*")
_MARK: Final = re.compile(r"(?<!\S)(\w+)(!)?(?::(\S+))?(?!\S)")


@dataclass(frozen=True)
class Guard:
    """One guard. early: it is asked when its module is imported. word: what its tests may name."""

    id: str
    text: str
    early: bool
    word: str = ""

    @property
    def path(self) -> str:
        """The module's file."""
        return self.id.partition(":")[0]

    @property
    def place(self) -> str:
        """File and line."""
        return ":".join(self.id.split(":")[:2])


def find_guards() -> list[Guard]:
    """Return every guard of the product."""
    return [guard for path in sorted(MODULES) for guard in mark(path)[1]]


def mark(path: Path) -> tuple[ast.Module, list[Guard]]:
    """Return a module with a question at each of its guards, and the guards."""
    marker = _Marker(str(path.relative_to(ROOT)), declares=path == _DECLARATIONS)
    tree = marker.visit(ast.parse(path.read_text(encoding="utf-8")))
    return ast.fix_missing_locations(tree), marker.guards


class _Marker(ast.NodeTransformer):
    """Puts `__is_on__(id)` where a guard is: true leaves the module as it was."""

    def __init__(self, path: str, *, declares: bool) -> None:
        self.guards: list[Guard] = []
        self._path = path
        self._declares = declares
        self._functions: list[str] = []

    def _ask(self, node: ast.expr | ast.stmt, word: str = "", text: str = "") -> ast.Call:
        text = " ".join((text or ast.unparse(node)).split())
        stem = f"{self._path}:{node.lineno}:{node.col_offset}"
        count = sum(guard.id.startswith(f"{stem}:") for guard in self.guards)
        guard = Guard(f"{stem}:{count}", text[:100], early=not self._functions, word=word)
        self.guards.append(guard)
        return ast.Call(ast.Name("__is_on__", ast.Load()), [ast.Constant(guard.id)], [])

    def _if_on(self, node: ast.stmt) -> ast.stmt:
        asked = self._ask(node)
        self.generic_visit(node)
        return ast.If(asked, [node], [])

    def _in_predicate(self) -> bool:
        return bool(self._functions) and _PREDICATE.fullmatch(self._functions[-1]) is not None

    def _in_faults(self) -> bool:
        return bool(self._functions) and _FAULT.fullmatch(self._functions[-1]) is not None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self._functions.append(node.name)
        node.body = [_one(self.visit(each)) for each in node.body]
        self._functions.pop()
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        return self._if_on(node) if node.exc else node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return self._if_on(node) if _refuses(node) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        return self._if_on(node) if _refuses(node) else node

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        value = node.value
        if value is None:
            return node
        if self._in_predicate():
            node.value = self._clauses_of_predicate(value)
            return node
        if isinstance(value, ast.Call) and _name(value) == "wrong_type":
            asked, missing = self._ask(value), ast.Name("MISSING", ast.Load())
            node.value = ast.IfExp(asked, value, missing)
        elif isinstance(value, ast.Call) and _name(value) == "fault":
            return ast.If(self._ask(node), [node], [])
        elif self._in_faults():
            if isinstance(value, ast.Constant | ast.JoinedStr) and _is_fault(value):
                return ast.If(self._ask(node), [node], [])
            node.value = self._fault(value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        if isinstance(target, ast.Subscript) and ast.unparse(target.value) == "lacking":
            return self._if_on(node)
        node.value = self._assigned(ast.unparse(target), node.value)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self._assigned(ast.unparse(node.target), node.value)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        refuses = any(_refuses(each) or self._returns_fault(each) for each in node.body)
        if refuses:
            node.test = self._clauses(node.test)
        node.body = [self._nested(each) for each in node.body]
        node.orelse = [self._nested(each) for each in node.orelse]
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.iter, ast.Tuple):
            node.iter = self._entries(node.iter)
        return node

    def visit_Try(self, node: ast.Try) -> ast.AST:
        for handler in node.handlers:
            handler.body = [self._nested(each) for each in handler.body]
        node.body = [_one(self.visit(each)) for each in node.body]
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        if self._functions[-1:] == ["find_token"]:
            node.ifs = [ast.BoolOp(ast.Or(), [each, _not(self._ask(each))]) for each in node.ifs]
        return node

    def _nested(self, node: ast.stmt) -> ast.stmt:
        """Mark a statement under a condition: what a predicate returns there goes as a whole."""
        if isinstance(node, ast.Return) and self._in_predicate():
            return ast.If(self._ask(node), [node], [])
        return _one(self.visit(node))

    def _returns_fault(self, node: ast.stmt) -> bool:
        if not isinstance(node, ast.Return) or node.value is None:
            return False
        is_call = isinstance(node.value, ast.Call) and _name(node.value) in {"fault", "wrong_type"}
        return is_call or (self._in_faults() and _is_fault(node.value))

    def _assigned(self, target: str, value: ast.expr) -> ast.expr:
        if self._declares:
            return _expression(self.visit(value))
        if target in TABLES and (self._functions == [] or target == "required"):
            return self._table(value)
        if target.startswith(("is_", "valid")):
            return self._clauses_of_predicate(value)
        if isinstance(value, ast.IfExp) and ast.unparse(value.orelse) == "None":
            value.test = ast.BoolOp(ast.Or(), [value.test, _not(self._ask(value.test))])
        elif isinstance(value, ast.Call) and target == "faults" and _FAULT.fullmatch(_name(value)):
            return ast.IfExp(self._ask(value), value, ast.List([], ast.Load()))
        elif isinstance(value, ast.Call) and _CHECKER.fullmatch(_name(value)):
            for index, each in enumerate(value.args):
                if isinstance(each, ast.Name) and each.id == "report":
                    other = ast.Call(ast.Name("Report", ast.Load()), [], [])
                    value.args[index] = ast.IfExp(self._ask(value), each, other)
        elif self._functions:
            return _expression(self.visit(value))
        return value

    def _fault(self, value: ast.expr) -> ast.expr:
        """Mark the sentences and lists of faults that an expression may come to."""
        if isinstance(value, ast.IfExp):
            value.body, value.orelse = self._fault(value.body), self._fault(value.orelse)
            return value
        if isinstance(value, ast.Lambda):
            value.body = self._fault(value.body)
            return value
        if not _is_fault(value):
            return value
        is_list = isinstance(value, ast.List | ast.ListComp)
        nothing = ast.List([], ast.Load()) if is_list else ast.Constant(None)
        return ast.IfExp(self._ask(value), value, nothing)

    def _clauses(self, test: ast.expr) -> ast.expr:
        """Mark each of several clauses, any of which leads to a refusal."""
        found = _alternatives(test)
        if len(found) == 1:
            return test
        asked = [ast.BoolOp(ast.And(), [each, self._ask(each)]) for each in found]
        return ast.BoolOp(ast.Or(), [*asked])

    def _clauses_of_predicate(self, value: ast.expr) -> ast.expr:
        if isinstance(value, ast.IfExp) and ast.unparse(value.body) == "None":
            value.test = ast.BoolOp(ast.And(), [value.test, self._ask(value.test)])
        if isinstance(value, ast.Compare) and len(value.ops) > 1:
            value = ast.BoolOp(ast.And(), _links(value))
        if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or):
            value.values = [ast.BoolOp(ast.And(), [each, self._ask(each)]) for each in value.values]
        elif isinstance(value, ast.BoolOp):
            flat = [link for each in value.values for link in _links(each)]
            value.values = [ast.BoolOp(ast.Or(), [each, _not(self._ask(each))]) for each in flat]
        else:
            value = _expression(self.visit(value))
        return value

    def _table(self, value: ast.expr) -> ast.expr:
        """Mark the entries of the table in an expression."""
        if isinstance(value, ast.Dict):
            return self._members(value)
        if isinstance(value, ast.Tuple | ast.Set):
            return self._entries(value)
        if isinstance(value, ast.Call):
            value.args = [self._table(each) for each in value.args]
        return value

    def _members(self, table: ast.Dict) -> ast.Dict:
        values: list[ast.expr] = []
        for key, value in zip(table.keys, table.values, strict=True):
            if key is None:
                values.append(value)
                continue
            word = str(key.value) if isinstance(key, ast.Constant) else ""
            asked = self._ask(key, word, f"{ast.unparse(key)}: {ast.unparse(value)}")
            values.append(ast.IfExp(asked, ast.Dict([key], [value]), ast.Dict([], [])))
        return ast.Dict([None] * len(values), values)

    def _entries(self, table: ast.Tuple | ast.Set) -> ast.Tuple | ast.Set:
        items: list[ast.expr] = []
        for each in table.elts:
            if isinstance(each, ast.Starred):
                inner = each.value
                each.value = self._entries(inner) if isinstance(inner, ast.Tuple) else inner
                items.append(each)
                continue
            word = str(each.value) if isinstance(each, ast.Constant) else ""
            here, gone = ast.Tuple([each], ast.Load()), ast.Tuple([], ast.Load())
            items.append(ast.Starred(ast.IfExp(self._ask(each, word), here, gone), ast.Load()))
        table.elts = items
        return table

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        if not self._declares:
            return node
        parts = [self._marks(each) if isinstance(each, ast.Constant) else [each] for each in node.values]
        return ast.JoinedStr([piece for part in parts for piece in part])

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not self._declares or not isinstance(node.value, str) or not self._is_declared(node):
            return node
        return ast.JoinedStr(self._marks(node))

    def _is_declared(self, node: ast.Constant) -> bool:
        return any(":" in word or "!" in word for word in str(node.value).split())

    def _marks(self, node: ast.Constant) -> list[ast.expr]:
        """Split declared fields into pieces: as they are, and each mark as one may take it off."""
        text, pieces, end = str(node.value), list[ast.expr](), 0
        for match in _MARK.finditer(text):
            name, required, kind = match[1], match[2] or "", match[3] or ""
            loose = "any" if kind == "-" else "string" if kind[:1] == "<" else kind.split("@")[0]
            changed = [f"{name}:{kind}".rstrip(":")] if required else []
            changed += [f"{name}{required}:{loose}"] if loose != kind else []
            piece: ast.expr = ast.Constant(match[0])
            for other in changed:
                asked = self._ask(node, name, f"{match[0]} -> {other}")
                piece = ast.IfExp(asked, piece, ast.Constant(other))
            if changed:
                pieces += [ast.Constant(text[end : match.start()]), ast.FormattedValue(piece, -1)]
                end = match.end()
        return [*pieces, ast.Constant(text[end:])]


def _name(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Subscript):
        function = function.value
    return function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)


def _refuses(node: ast.stmt) -> bool:
    if isinstance(node, ast.AugAssign):
        return ast.unparse(node.target) == "faults"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        name = _name(node.value)
        notes = ast.unparse(node.value.func) == "faults.append"
        return notes or _CHECKER.fullmatch(name) is not None
    return isinstance(node, ast.Raise) and node.exc is not None


def _is_fault(value: ast.expr) -> bool:
    """Tell a fault in a function of faults from None, and from no faults."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, str)
    if isinstance(value, ast.List):
        return bool(value.elts)
    if isinstance(value, ast.Name):
        return value.id == "message"
    if isinstance(value, ast.Call):
        return bool(_FAULT.fullmatch(_name(value)))
    return isinstance(value, ast.JoinedStr | ast.ListComp)


def _alternatives(test: ast.expr) -> list[ast.expr]:
    """Return what a condition is a disjunction of, a or b as well as not (a and b)."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return [found for each in test.values for found in _alternatives(each)]
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = test.operand
        if isinstance(inner, ast.BoolOp) and isinstance(inner.op, ast.And):
            return [found for each in inner.values for found in _alternatives(_not(each))]
        if isinstance(inner, ast.Compare) and len(inner.ops) > 1:
            return [_not(each) for each in _links(inner)]
    return [test]


def _links(value: ast.expr) -> list[ast.expr]:
    """Return the comparisons of a chain. What stands in its middle is looked at twice: no harm."""
    if not isinstance(value, ast.Compare) or len(value.ops) == 1:
        return [value]
    sides = [value.left, *value.comparators]
    return [
        ast.copy_location(ast.Compare(left, [op], [right]), value)
        for left, op, right in zip(sides, value.ops, value.comparators, strict=False)
    ]


def _not(value: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(ast.Not(), value), value)


def _one(node: ast.AST | Sequence[ast.AST]) -> ast.stmt:
    assert isinstance(node, ast.stmt)
    return node


def _expression(node: ast.AST) -> ast.expr:
    assert isinstance(node, ast.expr)
    return node
