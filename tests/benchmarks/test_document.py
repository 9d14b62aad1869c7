"""The pages with tables quote what is kept, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import worker_tables
from benchmarks.document import PAGES, PLACE, TABLES, filled

OWN = {
    "measurements.md": {"compare", "ask cost"},
    "many_workers.md": {"workers faults"},
    "several_machines.md": {"hosts seconds", "hosts trials"},
}
"""Some tables of each page: a page that has lost its places would pass as true."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_each_table_of_a_page_is_that_of_the_kept_results(path: Path) -> None:
    page = path.read_text()
    places = [match["name"] for match in PLACE.finditer(page)]
    assert len(set(places)) == len(places)
    assert OWN[path.name] <= set(places) <= set(TABLES)
    for name in places:
        table = TABLES[name]()
        assert table.count("\n") >= 2 or table.startswith("Not measured yet: "), name
    assert filled(page) == page


def test_all_tables_of_the_workers_have_a_place_and_none_has_two() -> None:
    places = [match["name"] for page in PAGES for match in PLACE.finditer(page.read_text())]
    assert len(set(places)) == len(places)
    assert set(worker_tables.TABLES) <= set(places)


def test_a_table_that_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        filled("<!-- table: nothing -->\n<!-- end -->")
