"""Answers questions about choices with an SMT solver, to check the verifier's own procedure.

One JSON object per line on standard input: the schema of `input` and the guards as trees. One per
line on standard output: does a gap exist; is each guard taken, does it fail, for some data; are two
of them true at once. Needs the package z3-solver.
"""

import json
import sys

import z3

NUMBER, TEXT, BOOL = "number", "string", "boolean"


class Path:
    """A field of the input: a value of one type, which may be missing."""

    def __init__(self, name, schema, is_required):
        kind = schema["type"]
        self.kind = NUMBER if kind == "integer" else kind
        self.missing = z3.BoolVal(False) if is_required else z3.Bool(name + "?")
        self.limits = []
        if kind == TEXT:
            self.value = z3.String(name)
        elif kind == BOOL:
            self.value = z3.Bool(name)
        elif kind == "integer":
            self.value = z3.ToReal(z3.Int(name))
        else:
            self.value = z3.Real(name)
        for key, limit in (
            ("minimum", lambda at: self.value >= at),
            ("exclusiveMaximum", lambda at: self.value < at),
            ("maximum", lambda at: self.value <= at),
        ):
            if key in schema:
                self.limits.append(limit(schema[key]))


def constant(value):
    if isinstance(value, bool):
        return BOOL, z3.BoolVal(value)
    if isinstance(value, str):
        return TEXT, z3.StringVal(value)
    return NUMBER, z3.RealVal(str(value))


def number_of_bool(value):
    return z3.If(value, z3.IntVal(1), z3.IntVal(0))


def compare(sign, left, right):
    """Returns (is true, fails) for two typed values."""
    (left_kind, left), (right_kind, right) = left, right
    if left_kind != right_kind:
        if sign in ("==", "!="):
            return z3.BoolVal(sign == "!="), z3.BoolVal(False)
        return z3.BoolVal(False), z3.BoolVal(True)
    if left_kind == BOOL and sign not in ("==", "!="):
        left, right = number_of_bool(left), number_of_bool(right)
    return {
        "==": lambda: left == right,
        "!=": lambda: left != right,
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        ">": lambda: right < left,
        ">=": lambda: right <= left,
    }[sign](), z3.BoolVal(False)


class Choice:
    def __init__(self, schema):
        required = schema.get("required", [])
        self.paths = {
            "input." + name: Path(name, field, name in required)
            for name, field in schema["properties"].items()
        }

    def limits(self):
        return [limit for path in self.paths.values() for limit in path.limits]

    def of_term(self, term, then):
        """Applies `then` to the value of a term: of the path, or of its default if missing."""
        path = self.paths[term["path"]]
        is_true, fails = then((path.kind, path.value))
        if "default" in term:
            other_true, other_fails = then(constant(term["default"]))
        else:
            other_true, other_fails = z3.BoolVal(False), z3.BoolVal(True)
        return z3.If(path.missing, other_true, is_true), z3.If(path.missing, other_fails, fails)

    def guard(self, node):
        """Returns (is true, fails); never both."""
        is_true, fails = self.raw(node)
        return z3.And(is_true, z3.Not(fails)), fails

    def raw(self, node):
        op = node["op"]
        never = z3.BoolVal(False)
        if op == "literal":
            return z3.BoolVal(node["value"]), never
        if op == "has":
            return z3.Not(self.paths[node["path"]].missing), never
        if op == "compare":
            value = constant(node["value"])
            return self.of_term(node["term"], lambda it: compare(node["sign"], it, value))
        if op == "in":
            values = [constant(it) for it in node["values"]]
            return self.of_term(
                node["term"],
                lambda it: (z3.Or([compare("==", it, value)[0] for value in values]), never),
            )
        if op == "bare":
            return self.of_term(
                node["term"],
                lambda it: (it[1], never) if it[0] == BOOL else (never, z3.BoolVal(True)),
            )
        if op == "prefix":
            prefix = z3.StringVal(node["prefix"])
            return self.of_term(
                {"path": node["path"]},
                lambda it: (z3.PrefixOf(prefix, it[1]), never)
                if it[0] == TEXT
                else (never, z3.BoolVal(True)),
            )
        if op == "pair":
            left, right = self.paths[node["left"]], self.paths[node["right"]]
            is_true, fails = compare(
                node["sign"], (left.kind, left.value), (right.kind, right.value)
            )
            return is_true, z3.Or(left.missing, right.missing, fails)
        inner = [self.guard(it) for it in node["of"]]
        if op == "not":
            is_true, fails = inner[0]
            return z3.Not(is_true), fails
        if op == "&&":
            is_false = z3.Or([z3.And(z3.Not(t), z3.Not(f)) for t, f in inner])
            fails = z3.And(z3.Not(is_false), z3.Or([f for _, f in inner]))
            return z3.And([t for t, _ in inner]), fails
        if op == "||":
            is_true = z3.Or([t for t, _ in inner])
            return is_true, z3.And(z3.Not(is_true), z3.Or([f for _, f in inner]))
        if op == "if":
            (condition, unclear), (then, then_fails), (other, other_fails) = inner
            fails = z3.Or(unclear, z3.If(condition, then_fails, other_fails))
            return z3.If(condition, then, other), fails
        (left, left_fails), (right, right_fails) = inner
        is_true = left == right if op == "==" else left != right
        return is_true, z3.Or(left_fails, right_fails)


def exists(solver, *conditions):
    result = solver.check(*conditions)
    if result == z3.unknown:
        raise RuntimeError("the solver does not know: " + solver.reason_unknown())
    return result == z3.sat


def answer(question):
    choice = Choice(question["schema"])
    guards = [choice.guard(it) for it in question["guards"]]
    solver = z3.Solver()
    solver.add(*choice.limits())
    # A name for each outcome, so that each question is a list of names.
    true, false, fails = [], [], []
    for number, (is_true, is_failing) in enumerate(guards):
        names = [z3.Bool(f"{kind}{number}!") for kind in ("true", "false", "fails")]
        meanings = [is_true, z3.And(z3.Not(is_true), z3.Not(is_failing)), is_failing]
        for name, meaning in zip(names, meanings):
            solver.add(name == meaning)
        true.append(names[0])
        false.append(names[1])
        fails.append(names[2])
    count = range(len(guards))
    return {
        "gap": exists(solver, *false),
        "taken": [exists(solver, *false[:it], true[it]) for it in count],
        "errors": [exists(solver, *false[:it], fails[it]) for it in count],
        "overlaps": [
            exists(solver, true[first], true[second])
            for second in count
            for first in range(second)
        ],
    }


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
