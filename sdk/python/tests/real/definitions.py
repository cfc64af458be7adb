"""Definitions that the tests deploy."""

from __future__ import annotations


def one_task(workflow: str, uses: str, more: str = "") -> str:
    """Returns a workflow of one task, whose output is that task's."""
    lines = [
        f"id: {workflow}",
        "input: {type: object}",
        "tasks:",
        "  work:",
        f"    uses: {uses}",
        *(f"    {it}" for it in more.splitlines()),
        'output: "${{ tasks.work.output }}"',
    ]
    return "\n".join(lines) + "\n"


WAITS = """\
id: waits
tasks:
  hear:
    uses: signal
    with: {name: go}
output: "${{ tasks.hear.output.data }}"
"""

FAILS = """\
id: fails
tasks:
  refuse:
    uses: fail
    with: {type: declined, message: no money}
"""

ADDS = """\
id: adds
input: {type: object, required: [a, b], properties: {a: {type: integer}, b: {type: integer}}}
tasks:
  add: {uses: transform, with: "${{ input.a + input.b }}"}
output: {sum: "${{ tasks.add.output }}"}
"""

MANY = """\
id: many
input: {type: object, required: [items], properties: {items: {type: array}}}
tasks:
  each:
    for_each: "${{ input.items }}"
    max_parallel: 100
    uses: double
    with: {n: "${{ item }}"}
output: "${{ tasks.each.output }}"
"""
