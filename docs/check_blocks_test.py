"""Sees that the checker of the book would notice.

    python3 -m unittest discover --start-directory docs --pattern '*_test.py'
"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

import check_blocks  # noqa: E402
from check_blocks import Problem, blocks_of, check_quote, first_missing  # noqa: E402

PAGE = """# A page

```yaml title="a b.txt"
port: 7070
```

```sh
cat "a b.txt"
# -> port: …
export NAME=kept
```

```sh
echo "$NAME"
sleep 600 &
```

```text
kept
```
"""


class Checker(unittest.TestCase):
    def test_what_a_fence_says(self):
        block, = blocks_of('- a list\n\n  ```rust,ignore from="a/b.rs" title="x y"\n  fn a() {\n    1\n  ```\n')
        self.assertEqual((block.language, block.flags), ("rust", ["ignore"]))
        self.assertEqual(block.attributes, {"from": "a/b.rs", "title": "x y"})
        self.assertEqual(block.text, "fn a() {\n  1\n")
        with self.assertRaises(Problem):
            blocks_of("```sh\nno end\n")

    def test_lines_are_expected_in_their_order(self):
        printed = "one  two\nthree\nfour five\n"
        for expected, missing in [
            (["one two", "five"], None),
            (["t…o", "th…e"], None),
            (["three", "one"], "one"),
            (["three", "three"], "three"),
            (["one.two"], "one.two"),
        ]:
            self.assertEqual(first_missing(expected, printed), missing, expected)

    def test_a_quote_must_be_there(self):
        def quote(text: str) -> bool:
            return check_quote(blocks_of(f'```toml,ignore from="book.toml"\n{text}```\n')[0])

        self.assertTrue(quote('  [book]\n  title = "Surefoot"\n# …\n[build]\n'))
        with self.assertRaises(Problem):
            quote('[book]\n[build]\n')

    def test_one_shell_for_a_page_and_nothing_left_behind(self):
        self.assertEqual(self.execute(PAGE), 2)
        for page, why in [
            (PAGE.replace("text\nkept", "text\nlost"), "line 13: did not print: lost"),
            (PAGE.replace("echo ", "false; echo "), "line 13: exited with 1"),
            (PAGE.replace("$NAME", "$NOT_SET"), "line 13: exited with 1"),
            (PAGE.replace("```sh\ncat", "```sh,ignore\ncat"), "line 7: say why"),
        ]:
            with self.assertRaisesRegex(Problem, why):
                self.execute(page)

    def execute(self, page: str) -> int:
        check_blocks.OUTPUT_SECONDS_MAX = 0.5
        with tempfile.TemporaryDirectory() as home:
            program = Path(home) / "surefoot"
            program.touch(mode=0o755)
            return check_blocks.Book(program).execute(page, blocks_of(page))


if __name__ == "__main__":
    unittest.main()
