"""The Python code of a cell, against that which IPython itself makes of it."""

from __future__ import annotations

import ast
from textwrap import indent

import pytest

from gptrace.model.notebooks.ipython_syntax import without_magics

inputtransformer = pytest.importorskip("IPython.core.inputtransformer2")

MODEL = '''class Model:
    """A model.

    >>> Model().size
    ...
    """

    size = 3

    def forward(self, x):
        return x'''


def session(code: str, first: str = ">>> ", later: str = "... ") -> str:
    """The code as it stands in a session, with a prompt before each line."""
    lines = code.split("\n")
    return "\n".join((later if not line or line[0].isspace() else first) + line for line in lines)


def definitions(code: str) -> list[str]:
    """The statements that define something without IPython."""
    kinds = (ast.ClassDef, ast.Import, ast.Assign, ast.AnnAssign)
    texts = [ast.unparse(node) for node in ast.parse(code).body if isinstance(node, kinds)]
    return [text for text in texts if "get_ipython" not in text]


@pytest.mark.parametrize(
    "cell",
    [
        MODEL, f"\n\n{MODEL}\n", indent(MODEL, "    "), indent(MODEL, "\t"), indent(f"\n%time\n{MODEL}", " "),
        session(MODEL), indent(session(MODEL), "    "), f"import sys\n{session(MODEL)}",
        f"# from the manual\n{session(MODEL)}", session(f"%matplotlib inline\n{MODEL}\nModel?"),
        session(MODEL, "In [1]: ", "   ...: "), session(f"x = 1\n{MODEL}", "In [12]: ", "    ...: "),
        f"{MODEL}\nx = nn.Linear?", f"{MODEL}\nx = 'a' + nn.Linear??\ny = 1", f"if x:\n    y?\n{MODEL}",
        f"?print\nnp.*load*?\n%time?\nmodel.blocks[0].att?\n{MODEL}", f"{MODEL}\nx = 1  # why?\ny = '?'",
        f"files = !ls\n!echo it's (\nx = %timeit -o 1\n{MODEL}", f"/print 1\n,print a\n;print a b\n{MODEL}",
        f"!pip install \\\n   torch\n{MODEL}", "In = [0]\nIn [0]: int", "...\nx = 1", "x = (1\n % 2)",
        MODEL.replace("A model.", "lr=%g\n"), f"{MODEL}\nFORMATS['=%s'] = 1",
        f"{MODEL}\nx = '=%s'\ny = '=!ls'",
        f"f(a=1)[0] = %time 1\n(a, b) = !ls\n{MODEL}", f"{MODEL}\nx = f'{{x}}=%d'",
    ],
)  # fmt: skip
def test_a_cell_is_the_code_that_ipython_makes_of_it(cell: str) -> None:
    code = without_magics(cell)
    assert code.cell_magic == ""
    made = inputtransformer.TransformerManager().transform_cell(cell)
    assert definitions(code.text) == definitions(made) != []
    places = [["class Model" in line for line in text.split("\n")] for text in (cell, code.text)]
    assert places[0] == places[1]


FUTURE = f"from __future__ import annotations\n{MODEL}"


@pytest.mark.parametrize("body", [MODEL, indent(MODEL, "    "), session(MODEL), FUTURE])
def test_the_cell_of_a_magic_is_read_as_a_cell(body: str) -> None:
    assert definitions(without_magics(f"\n%%time\n{body}").text) == definitions(MODEL)
    compile(without_magics(f"%%time\n{body}").text, "cell", "exec")
    assert without_magics(f"%%capture\n%%bash\n{body}").cell_magic == "%%bash"
