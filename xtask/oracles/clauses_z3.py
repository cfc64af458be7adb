"""Asks an SMT solver whether clauses contradict each other, to check the verifier's certificates.

One list of clauses per line on standard input, as JSON, with literals as in DIMACS; `sat` or `unsat`
per line on standard output. Needs the package z3-solver.
"""

import json
import sys

import z3


def main():
    for line in sys.stdin:
        solver = z3.SolverFor("QF_FD")
        for clause in json.loads(line):
            literals = [z3.Bool(str(abs(it))) for it in clause]
            signed = [it if sign > 0 else z3.Not(it) for it, sign in zip(literals, clause)]
            solver.add(z3.Or(*signed))
        print(solver.check(), flush=True)


if __name__ == "__main__":
    main()
