"""The house law: which room imports what, where heavy libraries live, how long things may be.

The law is the tables below. `check_tree` reads a source tree with `ast` and never imports it, and it is tested on small
bad trees at the end of this file. Where a check here is in the way, move the wall: change the table and say why.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "reportgen"

#: From the ground up. A room imports from itself and from rooms below. The front door (``reportgen/__init__.py``,
#: ``__main__.py``) sees everything, and nobody imports from it.
ROOMS = (
    # the ground floor: single modules, no third-party library but regex
    ("config", "config_audit", "config_columns", "errors", "checks", "formats", "languages", "text", "version"),
    ("data",),
    ("attention",),
    ("explain",),
    ("extract",),
    ("report",),
    ("mail",),
    ("output",),
    ("audit",),
    ("workers",),
    ("batch",),
    ("post",),
    ("verbs",),
    ("cli",),
    ("__init__", "__main__"),
)

#: Library -> the only files that may load it. An import for type checking alone is not a load.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "asn1crypto": ("audit/pdf_seal.py",),
    "babel": ("report/words.py",),
    "cryptography": ("audit/*.py",),
    "css_inline": ("mail/render.py",),
    "dask": ("workers/dask_pool.py",),
    "deflate": ("output/zipped.py",),  # packs: half the time of zlib on what was a quarter of a run
    "distributed": ("workers/dask_pool.py",),
    "duckdb": ("data/ingest*.py", "data/csvread.py", "data/reader.py", "data/tables.py"),
    "fsspec": ("output/store.py",),
    "jinja2": ("report/html.py", "batch/index.py"),
    # nothing here may cost a user who has none of them a second or a megabyte, so each has one door; the extractor of
    # `implicit` reads a fitted model by its attributes alone
    "implicit": ("attention/peers.py",),
    "keras": ("extract/keras.py",),
    "torch": ("extract/torch.py",),
    "matplotlib": ("report/figures.py", "report/display.py", "report/displays.py", "report/glyphs.py"),
    "matplotlib.pyplot": (),  # global state
    # it writes the digits of a record; the audit reads millions of records, at a fifth of the time of the standard library
    "orjson": ("report/record.py", "report/document.py", "audit/verify_record.py", "audit/diff.py"),
    "pandas": (
        "data/dataset.py",
        "data/frames.py",
        "data/shop*.py",
        "attention/features.py",
        "explain/explanation.py",
        "explain/weights.py",  # the long table is what an extractor hands over, and a frame writes itself to any file
        "attention/evaluation.py",  # qualities side by side are a table, which a notebook shows
    ),
    "PIL": ("report/theme.py",),
    "pickle": (),  # a model file must not be able to run code
    "premailer": (),  # beside ours in benchmarks/mail.py only
    "pydyf": ("report/pdf.py",),
    "pyhanko": ("audit/pdf_seal.py",),  # an extra: who seals no PDF has not got it
    "pyhanko_certvalidator": ("audit/pdf_seal.py",),
    "pylab": (),
    "regex": ("text.py",),
    "scipy.optimize": ("attention/ranking.py",),
    "scipy.sparse": ("attention/*.py",),
    "seaborn": (),
    "sklearn": ("attention/features.py",),
    "sklearn.base": ("attention/features.py", "attention/scorer.py", "attention/peers.py"),
    "sklearn.utils.sparsefuncs": ("attention/products.py",),
    "sklearn.utils.validation": tuple(f"attention/{name}.py" for name in ("features", "scorer", "store", "peers")),
    "smtplib": ("post/server.py", "post/smtp.py"),  # transport is apart from the message
    "sqlalchemy": ("data/database.py",),
    "weasyprint": tuple(f"report/{name}.py" for name in ("pdf", "lettering", "look", "coverage", "tagged")),
}

#: The clock, the environment, the terminal: for the command line only. Name -> further files, with the reason.
OUTSIDE: dict[str, tuple[str, ...]] = {
    "time": (),
    "datetime.datetime.now": (),
    "datetime.datetime.utcnow": (),
    "datetime.datetime.today": (),
    "datetime.date.today": (),
    "os.environ": (),
    "os.getenv": (),
    "print": (),
    "sys.argv": (),
    "sys.stderr": (),
    "sys.stdin": (),
    "sys.stdout": (),
}
OUTSIDE_DOOR = ("cli.py",)

#: The one way upstairs: a carrier shows itself in a notebook. It asks for the module by name at that moment, so that nothing is
#: loaded before, and only these files may ask, and only for these modules. It is no import, so it makes no circle either.
SHOWS_ITSELF: dict[str, tuple[str, ...]] = {
    "explain/explanation.py": ("reportgen.report.displays", "reportgen.report.notebook"),
    "explain/foreign.py": ("reportgen.report.notebook",),
    "report/document.py": ("reportgen.report.notebook",),
}

MAX_FILE, MAX_FUNCTION, MEDIAN_FUNCTION = 300, 60, 10
#: Longer files, each with its own limit and the reason.
LONG_FILES: dict[str, int] = {}


@dataclass(frozen=True)
class Module:
    """One source file; ``uses`` holds (dotted name, line, only for type checking)."""

    file: str
    name: str
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        return self.name.split(".")[1] if "." in self.name else "__init__"


@dataclass(frozen=True)
class Use:
    name: str
    line: int
    typing_only: bool


def check_tree(package: Path) -> list[str]:
    """Return every breach of the law in a package folder, as ``file:line: what``."""
    modules = read_modules(package)
    names = {module.name for module in modules}
    breaches: list[str] = []
    inner: dict[str, set[str]] = {}
    for module in modules:
        uses = [*find_imports(module), *asked_for(module)]
        targets = {use.name: target for use in uses if (target := resolve(use.name, names, package.name))}
        inner[module.name] = set(targets.values()) - {module.name}
        breaches += check_rooms(module, uses, targets)
        breaches += check_libraries(module, uses)
        breaches += check_outside(module, uses)
        breaches += check_lengths(module)
    return [*breaches, *check_circles(inner), *check_median(modules)]


def read_modules(package: Path) -> list[Module]:
    modules = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(path.relative_to(package).as_posix(), name, ast.parse(text), text.count("\n")))
    return modules


def find_imports(module: Module) -> Iterator[Use]:
    """Yield every import with its full dotted name; ``from a import b`` is ``a.b``."""
    typing_only = {
        id(node)
        for branch in ast.walk(module.tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test).endswith("TYPE_CHECKING")
        for statement in branch.body
        for node in ast.walk(statement)
    }
    base = module.name.split(".") if module.file.endswith("__init__.py") else module.name.split(".")[:-1]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = base[: len(base) - node.level + 1] if node.level else []
            stem = ".".join([*start, *([node.module] if node.module else [])])
            found = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (Use(name, node.lineno, id(node) in typing_only) for name in found)


def asked_for(module: Module) -> Iterator[Use]:
    """Modules that ``import_module`` loads by a name written there, unless the file may ask for them to show itself."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "import_module" and node.args:
            name = node.args[0]
            allowed = SHOWS_ITSELF.get(module.file, ())
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value not in allowed:
                yield Use(name.value, node.lineno, False)


def resolve(name: str, names: set[str], package: str) -> str | None:
    """The module of the tree that an imported name lies in: itself, or the one it is taken from; None for others."""
    if name.split(".")[0] != package or name.startswith(f"{package}.templates"):
        return None
    return next((stem for stem in (name, name.rpartition(".")[0]) if stem in names), name)


def level(room: str) -> int | None:
    return next((floor for floor, rooms in enumerate(ROOMS) if room in rooms), None)


def check_rooms(module: Module, uses: list[Use], targets: dict[str, str]) -> Iterator[str]:
    own = level(module.room)
    if own is None:
        yield f"{module.file}:1: no such room in the house: {module.room}"
        return
    for use in uses:
        if (target := targets.get(use.name)) is None:
            continue
        room = target.split(".")[1] if "." in target else "__init__"
        floor = level(room)
        if floor is None or floor > own:
            yield f"{module.file}:{use.line}: {module.room} must not import {target} from above"


def check_libraries(module: Module, uses: list[Use]) -> Iterator[str]:
    for use in uses:
        known = [library for library in LIBRARIES if use.name == library or use.name.startswith(f"{library}.")]
        if not known or use.typing_only:
            continue
        library = max(known, key=len)  # the most exact entry decides
        if not any(fnmatch(module.file, allowed) for allowed in LIBRARIES[library]):
            yield f"{module.file}:{use.line}: {library} is not for this file"


def check_outside(module: Module, uses: list[Use]) -> Iterator[str]:
    """Names are followed through ``import x as y`` and ``from x import y as z``, not through assignments."""
    aliases = {alias: full for node in ast.walk(module.tree) for alias, full in bound_names(node)}
    seen = [(use.name, use.line) for use in uses]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            head, _, rest = ast.unparse(node).partition(".")
            if head in aliases or (head == "print" and not rest):
                seen.append((".".join(filter(None, [aliases.get(head, head), rest])), node.lineno))
    met = {(rule, line) for name, line in seen for rule in OUTSIDE if name == rule or name.startswith(f"{rule}.")}
    for rule, line in sorted(met):
        if not any(fnmatch(module.file, allowed) for allowed in (*OUTSIDE_DOOR, *OUTSIDE[rule])):
            yield f"{module.file}:{line}: {rule} belongs to the command line"


def bound_names(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0], alias.name.split(".")[0])
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def functions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Yield name, first line and length of every function; the docstring does not count."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            has_doc = ast.get_docstring(node, clean=False) is not None
            doc = (first.end_lineno or 0) - first.lineno + 1 if has_doc else 0
            yield node.name, node.lineno, (node.end_lineno or 0) - node.lineno + 1 - doc


def check_lengths(module: Module) -> Iterator[str]:
    if module.lines > LONG_FILES.get(module.file, MAX_FILE):
        yield f"{module.file}:1: {module.lines} lines, at most {LONG_FILES.get(module.file, MAX_FILE)}"
    for name, line, length in functions(module.tree):
        if length > MAX_FUNCTION:
            yield f"{module.file}:{line}: {name} has {length} lines, at most {MAX_FUNCTION}"


def check_median(modules: list[Module]) -> Iterator[str]:
    lengths = [length for module in modules for _, _, length in functions(module.tree)]
    if lengths and statistics.median(lengths) > MEDIAN_FUNCTION:
        yield f"the median function has {statistics.median(lengths):g} lines, at most {MEDIAN_FUNCTION}"


def check_circles(inner: dict[str, set[str]]) -> Iterator[str]:
    """Take away modules that import nothing that is left, again and again: the rest lies on or above a circle."""
    left = {name: targets & inner.keys() for name, targets in inner.items()}
    while loose := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in loose:
            del left[name]
    if left:
        yield f"circle of imports among {', '.join(sorted(left))}"


def test_the_house_stands() -> None:
    assert check_tree(PACKAGE) == []


def test_the_check_sees_the_whole_house() -> None:
    modules = read_modules(PACKAGE)
    assert {"errors.py", "data/shop.py", "data/dataset.py"} <= {module.file for module in modules}
    shop = next(module for module in modules if module.file == "data/shop.py")
    assert {use.name for use in find_imports(shop)} >= {"numpy", "pandas"}


# --- negative controls: the checker on small made-up trees

GOOD = {
    "__init__.py": "from reportgen.cli import main\n",
    "__main__.py": "from reportgen.cli import main\n",
    "errors.py": "",
    "cli.py": "import sys, time\nfrom reportgen.batch import plan\nprint(time.time(), file=sys.stderr)\n",
    "batch/__init__.py": "",
    "batch/plan.py": "from ..report import html\n",
    "report/__init__.py": "",
    "report/html.py": "import jinja2\nfrom reportgen.errors import ReportgenError\nimport reportgen.templates\n",
    "data/__init__.py": "from datetime import datetime\nX = datetime(2026, 1, 1)\n",
    "data/schema.py": "",
    "data/ingest_csv.py": "import duckdb\nfrom . import schema\n",
    "attention/scorer.py": "from scipy import sparse\nfrom sklearn.base import BaseEstimator\n",
    "explain/explanation.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import duckdb\n"
    "import_module('reportgen.report.notebook')\n",
}

BAD = [
    ("data/bad.py", "from reportgen.report import html", "data must not import reportgen.report.html from above"),
    ("data/bad.py", "def f():\n    import reportgen.cli", "data must not import reportgen.cli from above"),
    ("data/bad.py", "from ..batch.plan import x", "data must not import reportgen.batch.plan from above"),
    ("data/bad.py", "from reportgen import main", "data must not import reportgen from above"),
    ("data/bad.py", "from reportgen.cellar import x", "data must not import reportgen.cellar.x from above"),
    ("cellar/bad.py", "", "no such room in the house: cellar"),
    ("errors.py", "import reportgen.data.schema", "errors must not import reportgen.data.schema from above"),
    ("data/schema.py", "from reportgen.data import ingest_csv", "circle of imports among reportgen.data.ingest_csv"),
    ("data/bad.py", "import duckdb", "duckdb is not for this file"),
    ("data/bad.py", "from pandas.api import types", "pandas is not for this file"),
    ("attention/bad.py", "from sklearn.base import BaseEstimator", "sklearn.base is not for this file"),
    ("attention/scorer.py", "from sklearn.preprocessing import OneHotEncoder", "sklearn is not for this file"),
    ("explain/bad.py", "from scipy import sparse", "scipy.sparse is not for this file"),
    ("attention/bad.py", "import scipy.optimize as o", "scipy.optimize is not for this file"),
    ("report/figures.py", "from matplotlib import pyplot as plt", "matplotlib.pyplot is not for this file"),
    ("report/bad.py", "import weasyprint", "weasyprint is not for this file"),
    ("report/bad.py", "import babel.numbers", "babel is not for this file"),
    ("attention/bad.py", "import pickle", "pickle is not for this file"),
    ("report/bad.py", "from time import perf_counter", "time belongs to the command line"),
    ("report/bad.py", "from datetime import datetime as d\nd.now()", "datetime.datetime.now belongs to the command"),
    ("report/bad.py", "import datetime\ndatetime.date.today()", "datetime.date.today belongs to the command line"),
    ("report/bad.py", "import os\nos.environ.get('X')", "os.environ belongs to the command line"),
    ("report/bad.py", "from os import environ as e", "os.environ belongs to the command line"),
    ("report/bad.py", "import sys\nsys.stderr.write('x')", "sys.stderr belongs to the command line"),
    ("batch/bad.py", "def f():\n    print('x')", "print belongs to the command line"),
    ("data/bad.py", "import_module('reportgen.report.html')", "data must not import reportgen.report.html from above"),
    (
        "explain/explanation.py",
        "from importlib import import_module as load\nimport importlib\nimportlib.import_module('reportgen.report.html')",
        "explain must not import reportgen.report.html from above",
    ),
    ("report/bad.py", "#\n" * 301, "301 lines, at most 300"),
    ("report/bad.py", "def g(): pass\n" * 2 + "def f():\n" + "    x = 1\n" * 60, "f has 61 lines, at most 60"),
    ("report/bad.py", "def f():\n" + "    x = 1\n" * 10, "the median function has 11 lines, at most 10"),
]


def build(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / "reportgen" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "reportgen"


def test_a_good_tree_passes(tmp_path: Path) -> None:
    assert check_tree(build(tmp_path, GOOD)) == []


@pytest.mark.parametrize(("file", "text", "breach"), BAD)
def test_a_bad_tree_is_caught(file: str, text: str, breach: str, tmp_path: Path) -> None:
    found = check_tree(build(tmp_path, GOOD | {file: text}))
    assert len(found) == 1
    assert breach in found[0]


def test_a_docstring_does_not_make_a_function_long(tmp_path: Path) -> None:
    long_doc = 'def f():\n    """Say.\n' + "\n" * 80 + '    """\n    return 1\n'
    assert check_tree(build(tmp_path, GOOD | {"report/words.py": long_doc})) == []
