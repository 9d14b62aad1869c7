"""The page of measurements quotes what is kept, and nothing else."""

import pytest

from benchmarks.document import PAGE, PLACE, TABLES, filled


def test_each_table_of_the_page_is_that_of_the_kept_results() -> None:
    page = PAGE.read_text()
    places = [match["name"] for match in PLACE.finditer(page)]
    assert len(set(places)) == len(places) and {"compare", "ask cost"} <= set(places) <= set(
        TABLES
    )
    assert all(TABLES[name]().count("\n") > 2 for name in places)
    assert filled(page) == page


def test_a_table_that_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        filled("<!-- table: nothing -->\n<!-- end -->")
