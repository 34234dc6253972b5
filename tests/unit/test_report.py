"""The report of a comparison: its page in a browser, and its tables."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

import neko
from neko import plots
from neko.training.comparison import TABLES
from neko.training.deviations import EDGES

import browser

RULES = ("bptt", "eprop:symmetric", "eprop:random")
NAME = "</script><b>own"  # which must not end the script that it is in


@pytest.fixture(scope="module")
def followed():
    """A comparison of two layers along six batches; the second has few spikes, between 0.5 and 1.2 % of steps."""
    pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x, y = (rng.random((12, 15, 5)) < 0.3).astype(float), np.eye(3)[rng.integers(3, size=12)]
    cells = (neko.cells.LIF(7, tau_m=20.0, v_th=0.7), neko.cells.LIF(6, tau_m=20.0, v_th=6.0))
    model = neko.Evaluator(neko.Model(cells, 3, "torch", seed=2), loss="categorical_crossentropy")
    others = {rule: rule for rule in RULES[1:]} | {NAME: neko.rules.BPTT}
    made = neko.GradientComparison(neko.BPTT(model), others, measure_costs=True)
    neko.Trainer(made).train(x, y, epochs=2, batch_size=4, progress=False)
    return made


@pytest.fixture(scope="module")
def folder(followed, tmp_path_factory):
    pytest.importorskip("plotly")
    folder = tmp_path_factory.mktemp("report")
    plots.report(followed, folder / "report.html")
    for table in TABLES:
        followed.save(folder / f"{table}.csv", table)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    with browser.chromium() as driver:
        driver.get((folder / "report.html").as_uri())
        yield driver


def rows(folder, table):
    with (folder / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def choose(page, name, value):
    from selenium.webdriver.support.ui import Select

    Select(page.find_element("id", name)).select_by_value(value)


def cells(page, table="summary"):
    """The rows of a table of the page: by column, the value of a cell and its text."""
    script = """
    const table = document.getElementById(arguments[0]);
    const columns = [...table.tHead.rows[0].cells].map((head) => head.dataset.column);
    return [...table.tBodies[0].rows].map((row) =>
      Object.fromEntries([...row.cells].map((cell, i) => [columns[i], [cell.dataset.value, cell.textContent]])));
    """
    return page.execute_script(script, table)


def number(text):
    """A number of CSV or of the page; NaN for what is not known."""
    return float(text) if text else math.nan


def same(a, b):
    """Whether two numbers are equal bit for bit, or both unknown."""
    return a == b or (math.isnan(a) and math.isnan(b))


def test_the_numbers_of_the_page_are_those_of_the_tables(page, folder, followed):
    summary = rows(folder, "summary")
    tensors = list(dict.fromkeys(row["tensor"] for row in summary))
    assert len(tensors) == 8, "input and recurrent weights of two layers, the readout's two, and both groups"
    known = 0
    for tensor in tensors:
        choose(page, "tensor", tensor)
        expected = [row for row in summary if row["tensor"] == tensor]
        found = cells(page)
        assert [row["rule"][1] for row in found] == [row["rule"] for row in expected] == [*RULES, NAME]
        for row, own in zip(found, expected, strict=True):
            assert row.keys() == own.keys() - {"tensor"}
            for column in row.keys() - {"rule"}:
                value, text = row[column]
                assert same(number(value), number(own[column])), (tensor, column)
                if own[column] and math.isfinite(float(own[column])):
                    known += 1
                    assert float(text) == pytest.approx(float(own[column]), rel=6e-4), (tensor, column)
    assert known > 200
    activity = {row["layer"][1]: row for row in cells(page, "activity")}
    assert activity.keys() == {"layers.0", "layers.1", "outputs"}
    assert activity["layers.1"]["silent"][1] == "1"
    assert activity["layers.0"]["silent"][1] == activity["layers.1"]["collapsed"][1] == "0"
    assert "layers.1 silent in 100 %" in page.find_element("id", "warnings").text
    assert browser.complaints(page) == []


def test_the_figures_of_the_page_are_drawn_from_the_same_numbers(page, folder, followed):
    records = rows(folder, "records")
    for tensor, measure in (("layers.0.w_rec", "angle"), ("all hidden", "cosine"), ("layers.0.w_in", "signal")):
        choose(page, "tensor", tensor)
        choose(page, "measure", measure)
        drawn = page.execute_script("return document.getElementById('curves').data.map((d) => [d.name, d.x, d.y])")
        with_signals = [rule for rule in RULES if rule.startswith("eprop")]
        assert [name for name, _, _ in drawn] == (with_signals if measure == "signal" else [*RULES, NAME])
        for name, x, y in drawn:
            own = [row for row in records if row["tensor"] == tensor and row["rule"] == name]
            assert x == [int(row["batch"]) for row in own] == [0, 1, 2, 3, 4, 5]
            assert all(same(number(str(a)), number(row[measure])) for a, row in zip(y, own, strict=True))
        heat = page.execute_script("return document.getElementById('cosines').data[0].z")
        pairs = [row for row in rows(folder, "cosines") if row["tensor"] == tensor]
        shown = [number(str(z)) for of_rule in heat for z in of_rule]
        assert all(same(z, number(row["cosine"])) for z, row in zip(shown, pairs, strict=True))
        bars = page.execute_script("return document.getElementById('histogram').data.map((d) => [d.name, d.y])")
        assert [name for name, _ in bars] == [*RULES[1:], NAME]
        for name, density in bars:
            counts = followed.histograms[name][tensor]
            density = np.array([0.0 if d is None else d for d in density])
            assert density == pytest.approx(counts / counts.sum() / np.diff(EDGES))
    assert browser.complaints(page) == []


def test_the_table_is_sorted_by_the_heading_that_is_pressed(page):
    choose(page, "tensor", "layers.0.w_in")

    def press(column):
        page.find_element("css selector", f"#summary th[data-column='{column}'] button").click()
        order = page.find_element("css selector", f"#summary th[data-column='{column}']").get_attribute("aria-sort")
        return order, [(number(row[column][0]), row["rule"][1]) for row in cells(page)]

    for order in ("ascending", "descending"):
        told, found = press("relative")
        values = [value for value, _ in found]
        assert told == order
        assert values == sorted(values, reverse=order == "descending")
        assert len(set(values)) > 2
    for order in ("ascending", "descending"):
        told, found = press("signal")
        assert told == order
        assert [math.isnan(value) for value, _ in found] == [False, False, True, True], "what is unknown is last"
    page.find_element("css selector", "#summary th[data-column='rule'] button").click()
    names = [row["rule"][1] for row in cells(page)]
    assert names[1:] == sorted(RULES)
    choose(page, "tensor", "layers.0.w_rec")
    assert [row["rule"][1] for row in cells(page)] == names, "the order stays"


def test_the_page_asks_for_nothing_and_a_fault_would_be_seen(page, folder):
    page.get((folder / "report.html").as_uri())
    script = "return [...document.querySelectorAll('.modebar-btn')].map((button) => button.dataset.title)"
    buttons = browser.until(page, lambda: page.execute_script(script))
    assert any("Zoom" in title for title in buttons)
    assert not any("hare" in title for title in buttons), "Plotly would upload the chart"
    asked = {url for url in browser.requests(page) if not url.startswith(("data:", "blob:"))}
    assert asked == {(folder / "report.html").as_uri()}
    assert browser.complaints(page) == []
    page.execute_script(
        "new Image().src = 'http://127.0.0.1:9/a.png'; setTimeout(() => { throw Error('a fault'); }, 0)"
    )
    told = ""

    def both():
        nonlocal told
        told += " ".join(browser.complaints(page))
        return "Content Security Policy" in told and "a fault" in told

    assert browser.until(page, both)


@pytest.mark.parametrize("table", TABLES)
def test_parquet_has_the_columns_and_values_of_csv(followed, folder, table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    found = parquet.read_table(followed.save(tmp_path / "table.parquet", table)).to_pylist()
    expected = rows(folder, table)
    assert len(found) == len(expected) > 2
    for row, own in zip(found, expected, strict=True):
        assert list(row) == list(own)
        for column, value in row.items():
            assert ("" if value is None else str(value)) == own[column], column


def test_a_comparison_that_has_not_begun_has_no_report(tmp_path):
    pytest.importorskip("plotly")
    model = neko.Evaluator(neko.LIF(4, 2, "torch"), loss="categorical_crossentropy")
    with pytest.raises(ValueError, match="compared nothing yet"):
        plots.report(neko.GradientComparison(neko.BPTT(model), ["eprop"]), tmp_path / "report.html")
