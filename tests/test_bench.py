"""The bench's page of figures says where a limit is missed."""

from bench.scale_report import Figures, Report, Row


def report(*, small, large, sql=4.0):
    rows = {"empty page": Row("empty page", "empty page"), "list": Row("list", "empty page")}
    for size, took in (("10k", small), ("1m", large)):
        rows["empty page"].figures[size] = Figures(took=[10.0])
        rows["list"].figures[size] = Figures(took=[took], sql=[sql], queries=3, slowest=(3.0, "SELECT slow"))
    return Report(["10k", "1m"], rows)


def test_what_grows_too_much_is_marked_with_its_slowest_statement():
    text = report(small=20.0, large=30.0).text()
    assert "| list | 20.0 | 30.0 | 1.50 | **no** |" in text
    assert "**list**: 30 ms; slowest statement 3.0 ms" in text
    assert "SELECT slow" in text


def test_five_times_the_empty_page_and_the_sql_are_allowed():
    text = report(small=50.0, large=54.0).text()
    assert "| list | 54.0 | 54.0 | 5.4 | 4.0 | 3 | 1.00 |" in text
    assert "None." in text
    assert "**1.02**" in report(small=50.0, large=55.0).text()


def test_a_page_that_failed_is_no_success():
    found = report(small=20.0, large=20.0)
    found.rows["list"].figures["1m"] = Figures(failure="500")
    text = found.text()
    assert "| list | 20.0 | 0.0 | 0.00 | **no** |" in text
    assert "**list**: no answer" in text
