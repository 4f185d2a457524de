"""``gantrain docs``: the pages that are there, and each of them as text."""

from pathlib import Path

from gantrain.cli.commands.docs import pages

DOCS = Path(__file__).parents[2] / "docs"


def test_docs_lists_every_page_in_the_order_of_the_index(run_cli):
    code, out, err = run_cli("docs")
    assert (code, err) == (0, "")
    first, *rows = out.splitlines()
    assert first == f"the pages are in {DOCS}; gantrain docs PAGE prints one"
    assert [row.split()[0] for row in rows] == list(pages())
    assert set(pages()) == {path.stem for path in DOCS.glob("*.md")} - {"README"} | {"CONTRIBUTING"}
    assert all(page.topic and page.path.is_file() for page in pages().values())
    assert max(map(len, rows)) <= 110


def test_docs_prints_a_page_as_it_is(run_cli):
    for name in ("first-run", "theory.zh-TW.md"):
        code, out, _ = run_cli("docs", name)
        assert (code, out) == (0, (DOCS / f"{name.removesuffix('.md')}.md").read_text(encoding="utf-8"))


def test_docs_refuses_a_page_that_is_not_there(run_cli):
    assert (
        run_cli("docs", "pyton")[2]
        == "gantrain: error: docs: there is no page 'pyton'; did you mean 'python'?\n"
    )
    assert run_cli("docs", "faq", "gpus")[0] == 2
