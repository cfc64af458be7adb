"""Compares the verifier with pm4py's `check_soundness` (Woflan) on the same nets.

    cargo run --release -p surefoot-net --example verifier -- pnml DIRECTORY 150
    python bench/verifier/pm4py_soundness.py DIRECTORY --timeout 10

The first command writes the nets as PNML, with its own verdict and time for each in `ours.tsv`. Both
say whether a net is classically sound. Each net is given to pm4py in a process of its own, which is
ended after the time-out; reading the file is not counted for either.
"""

import argparse
import csv
import multiprocessing
import pathlib
import statistics
import time
import warnings


def ask(path, answers):
    import pm4py

    net, initial, final = pm4py.read_pnml(str(path))
    started = time.perf_counter()
    found = pm4py.check_soundness(net, initial, final)
    taken_us = (time.perf_counter() - started) * 1e6
    # Newer versions return the verdict and what led to it.
    answers.put((bool(found[0] if isinstance(found, tuple) else found), taken_us))


def ask_within(path, timeout_s):
    """Returns the verdict and microseconds, or None after the time-out."""
    answers = multiprocessing.Queue()
    process = multiprocessing.Process(target=ask, args=(path, answers))
    process.start()
    try:
        return answers.get(timeout=timeout_s)
    except Exception:
        return None
    finally:
        process.terminate()
        process.join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--timeout", type=float, default=10.0)
    arguments = parser.parse_args()
    ratios, theirs, ours, timeouts, wrong = [], [], [], [], []
    with open(arguments.directory / "ours.tsv") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    warnings.simplefilter("ignore")
    import pm4py  # noqa: F401  # Children are forked from here, with it loaded.

    for row in rows:
        answer = ask_within(arguments.directory / row["file"], arguments.timeout)
        if answer is None:
            timeouts.append(row["file"])
            continue
        is_sound, taken_us = answer
        theirs.append(taken_us)
        ours.append(float(row["us"]))
        ratios.append(taken_us / float(row["us"]))
        if is_sound != (row["sound"] == "true"):
            wrong.append((row["file"], row["sound"], is_sound))
    print(f"{len(rows)} nets, {len(timeouts)} time-outs of pm4py at {arguments.timeout:g} s")
    if ratios:
        print(f"ours   median {statistics.median(ours):.0f} us, most {max(ours):.0f}")
        print(f"pm4py  median {statistics.median(theirs):.0f} us, most {max(theirs):.0f}")
        print(f"ratio  median {statistics.median(ratios):.0f}, least {min(ratios):.0f}")
    print(f"disagreements {len(wrong)}")
    for file, is_ours, is_theirs in wrong:
        print(f"  {file}: ours {is_ours}, pm4py {str(is_theirs).lower()}")


if __name__ == "__main__":
    main()
