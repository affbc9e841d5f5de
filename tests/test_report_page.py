"""The report in a real browser: fields are typed in, the slider is moved, numbers are read."""

import itertools
import warnings

import numpy as np
import polars as pl
import pytest
from browser import list_errors, list_requests, open_browser, open_page, resize

from onelayer import train, write_report
from onelayer.holdout import holdout_mask
from onelayer.judging.evaluate import evaluate
from onelayer.table.reading import Table
from onelayer.table.written import write_rows

HOSTILE = (
    "<script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 2">',
    "</script><script>window.pwned = 3</script>",
    "' onfocus='window.pwned = 4' x='",
    "\u202egnp.exe\u2066",
    "two\nlines\u2028and \u0007",
    "{{ 7 * 7 }} {% raw %}",
    "=HYPERLINK(1)",
    "x" * 10_000,
)


def make_loans(rows: int, seed: int, odd: bool = False) -> pl.DataFrame:
    """Text as people write it: thousands, percent, decimal commas, flags, dates, levels, notes.

    With `odd` also what training has never seen: new levels, holes, other spellings.
    """
    rng = np.random.default_rng(seed)
    x, hour = rng.normal(size=(rows, 4)), rng.integers(0, 24, rows)
    city = rng.choice(["Aachen", "Bonn", "Celle", "1", "Düren"], rows)
    day = np.datetime64("2021-03-01") + rng.integers(0, 800, rows)
    note = [" ".join(rng.choice(["car", "roof", "Über", "debt", "a_b"], 3)) for _ in range(rows)]
    owner = rng.random(rows) < 0.4
    logit = 1.2 * x[:, 0] - x[:, 1] + (city == "Bonn") + 0.8 * owner + 0.05 * (hour - 12)
    columns = {
        "income": [f"{1000 * np.exp(2 * each):,.2f}" for each in x[:, 0]],
        "rate": [f"{5 + each:.1f}%" for each in x[:, 1]],
        "debt": [f"{each:.2f}".replace(".", ",") for each in 10 * np.exp(x[:, 2])],
        "age": [str(int(each)) for each in 45 + 12 * x[:, 3]],
        "city": city.tolist(),
        "owner": np.where(owner, "Yes", "no").tolist(),
        "at": [f"{d}T{h:02}:30:00" for d, h in zip(day, hour)],
        "note": note,
        "sex": rng.choice(["f", "m"], rows).tolist(),
        "granted": np.where(logit + rng.logistic(size=rows) > 0, "yes", "no").tolist(),
    }
    if odd:
        swaps = {
            "income": ["", "NA", "12", "1e3", " 7 ", "+5", "99,999,999"],
            "rate": ["12 %", "n/a", "-3%", "400%", "7"],
            "debt": ["1.234,5", "", ",5", "?", "1e2"],
            "age": ["", "-999", "41.0", "null", "1,045"],
            "city": ["Erfurt", "", "1.0", " Bonn ", "NaN", "01", HOSTILE[0]],
            "owner": ["TRUE", "0", "off", "perhaps", ""],
            "at": [
                "",
                "2030-01-31",
                "2022-02-03 23:59:60",
                "2022-02-03T01:30:00+05:30",
                "7 May 2022",
            ],
            "note": ["", "DEBT and roof", "ÜBER a_b car", "x" * 500],
        }
        for name, words in swaps.items():
            for k, row in enumerate(rng.choice(rows, rows // 3, replace=False)):
                columns[name][row] = words[k % len(words)]
    return pl.DataFrame(columns)


@pytest.fixture(scope="module")
def loans(tmp_path_factory):
    """A table, a model of it, and its report."""
    folder = tmp_path_factory.mktemp("loans")
    table = make_loans(700, seed=1)
    model = train(table, target="granted", protected=["sex"], holdout=0.3, roles={"note": "text"})
    write_report(model, table, folder / "report.html")
    return table, model, folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(browser, loans):
    open_page(browser, loans[2])
    yield browser
    assert list_errors(browser) == []
    assert list_requests(browser) == [loans[2].as_uri()]


def read(page, name):
    return page.find_element("id", name).text


def read_probability(page):
    return float(page.find_element("id", "probability").get_attribute("data-exact"))


def field_of(page, column):
    """The field under a column's label."""
    return page.execute_script(
        "return [...document.querySelectorAll('.field')]"
        ".find((each) => each.textContent.startsWith(arguments[0])).querySelector('input, select')",
        column,
    )


def enter(page, column, text):
    """Put a text into a field, key by key where it is one of text."""
    field = field_of(page, column)
    page.execute_script("arguments[0].closest('details')?.setAttribute('open', '')", field)
    if field.tag_name == "input" and field.get_attribute("type") == "text":
        field.clear()
        field.send_keys(text)
    else:
        page.execute_script(
            "arguments[0].value = arguments[1];"
            "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            *(field, text),
        )


def test_200_rows_score_as_in_python(page, loans):
    """All that the schema reads, with what training has never seen: probabilities and pushes."""
    _, model, _ = loans
    table = make_loans(200, seed=2, odd=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of unseen levels
        wanted = model.predict_proba(table)[:, 1]
        explained = [model.explain(table, row) for row in range(0, 200, 10)]
    used = [effect.column for effect in model.explainer.effects]
    texts = list(zip(*write_rows(used, Table(table, "loans"))))
    found = page.execute_script(
        "return arguments[0].map((row) => onelayer.score(row)).map((s) => "
        "[s.probability, s.pushes])",
        texts,
    )
    assert np.abs(np.array([row[0] for row in found]) - wanted).max() < 1e-9
    names = page.execute_script("return onelayer.columns")
    for explanation, (_, pushes) in zip(explained, found[::10]):
        by_name = {push.column: push.push for push in explanation.pushes}
        assert dict(zip(names, pushes)) == pytest.approx(by_name, abs=1e-9)
    kinds = {column.reading.kind for column in used}
    assert kinds == {"number", "flag", "level", "moment", "text"}
    assert len({round(each, 9) for each in wanted}) > 150


def first_row(page, table):
    """The row of the table that the panel begins with, as a dict of texts."""
    number = int(read(page, "row-note").split()[1].replace(",", ""))
    return table.row(number - 1, named=True)


def test_a_field_moves_the_probability_as_in_python(page, loans):
    table, model, _ = loans
    row = first_row(page, table)
    whole = model.predict_proba(row)[0, 1]
    assert read_probability(page) == pytest.approx(whole, abs=1e-9)
    for column, text in (
        ("income", "123,456.7"),
        ("rate", "1.5"),
        ("debt", "1,25"),
        ("city", "Celle"),
        ("city", "(another value)"),
        ("owner", "1"),
        ("at", "2022-08-09T21:00:00"),
        ("note", "a roof and debt"),
    ):
        enter(page, column, text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a level that training has never seen
            wanted = model.predict_proba({**row, column: text})[0, 1]
        assert read_probability(page) == pytest.approx(wanted, abs=1e-9), column
        said = page.find_element("id", "decision").get_attribute("data-value")
        assert said == ("yes" if wanted > model.threshold else "no")
        assert read(page, "probability") == f"{100 * wanted:.2f}\u202f%"
        page.find_element("id", "row-reset").click()
        assert read_probability(page) == pytest.approx(whole, abs=1e-9), column


def test_reasons_follow_each_key(page, loans):
    table, model, _ = loans
    enter(page, "income", "9,999,999")
    row = {**first_row(page, table), "income": "9,999,999"}
    pushes = sorted(model.explain(row).pushes, key=lambda push: -abs(push.push))
    reasons = read(page, "reasons-list").splitlines()
    assert reasons[0] == next(push.words for push in pushes)
    assert reasons[1].replace("\u2212", "-") == f"{pushes[0].push:+.2f}"


def test_reasons_are_worded_as_in_python(page, loans):
    """Numbers, flags and levels; of dates and free text the page says less."""
    table, model, _ = loans
    columns = page.execute_script("return onelayer.columns")
    row = table.row(3, named=True)
    words = page.execute_script("return onelayer.words(arguments[0])", [row[c] for c in columns])
    pushes = {push.column: push.words for push in model.explain(table, 3).pushes}
    for column in ("income", "rate", "debt", "age", "owner", "city"):
        assert words[columns.index(column)] == pushes[column]


def test_what_cannot_be_read_is_said(page):
    enter(page, "income", "much")
    field = field_of(page, "income")
    assert field.get_attribute("aria-invalid") == "true"
    assert read(page, field.get_attribute("aria-describedby")) == "not a number"
    assert read(page, "probability") == "\u2013"
    assert read(page, "decision") == "A field cannot be read."


def test_the_panel_is_filled_from_any_row_held_out(page, loans):
    table, model, _ = loans
    labels = (table["granted"] == "yes").to_numpy().astype(float)
    held = np.flatnonzero(holdout_mask(labels, 0.3, seed=0))
    seen = set()
    for _ in range(8):
        page.find_element("id", "row-next").click()
        number = int(read(page, "row-note").split()[1].replace(",", "")) - 1
        seen.add(number)
        assert read(page, "row-note").endswith(f"granted is {table['granted'][number]}.")
        row = table.row(number, named=True)
        assert read_probability(page) == pytest.approx(model.predict_proba(row)[0, 1], abs=1e-9)
    assert len(seen) == 8
    assert seen <= set(held.tolist())


def test_the_slider_moves_decisions_and_costs(page, loans):
    """Every place of it is a threshold at which the confusion table is exactly that of the rows."""
    table, model, _ = loans
    labels = (table["granted"] == "yes").to_numpy().astype(float)
    held = holdout_mask(labels, 0.3, seed=0)
    logits = model.predict_logits(table)[held]
    slider = page.find_element("id", "cut")
    own, last = int(slider.get_attribute("value")), int(slider.get_attribute("max"))
    enter_number(page, "cost-fn", "5")
    for place in (own, 0, last, last // 3, 2 * last // 3):
        threshold = move_slider(page, place)
        found = evaluate(labels[held], logits, threshold=threshold).confusion
        counts = [
            int(read(page, f"cell-{name}").replace(",", "")) for name in ("tn", "fp", "fn", "tp")
        ]
        assert counts == [found.tn, found.fp, found.fn, found.tp]
        assert float(read(page, "cost-total").replace(",", "")) == found.fp + 5 * found.fn
        assert page.execute_script("return onelayer.threshold()") == threshold
    assert move_slider(page, own) == model.threshold == 0.5


def move_slider(page, place):
    return page.execute_script(
        "const slider = document.getElementById('cut'); slider.value = String(arguments[0]);"
        "slider.dispatchEvent(new Event('input', {bubbles: true})); return onelayer.threshold()",
        place,
    )


def enter_number(page, name, text):
    field = page.find_element("id", name)
    field.clear()
    field.send_keys(text)


def test_least_cost_is_the_least(page):
    enter_number(page, "cost-fp", "7")
    page.find_element("id", "cut-cheapest").click()
    least = float(read(page, "cost-total").replace(",", ""))
    last = int(page.find_element("id", "cut").get_attribute("max"))
    for place in range(0, last + 1, 7):
        move_slider(page, place)
        assert float(read(page, "cost-total").replace(",", "")) >= least
    page.find_element("id", "cut-own").click()
    assert read(page, "cut-value") == "0.5000"


def test_the_map_has_the_border_of_the_decision(page, loans):
    """Where the line crosses, the probability is the threshold; a click takes a row over."""
    table, model, _ = loans
    for column, choice in (("age", "axis-x"), ("rate", "axis-y")):
        choose(page, choice, column)
    rows = 0
    while not (border := page.execute_script(BORDER)):
        page.find_element("id", "row-next").click()
        rows += 1
        assert rows < 20
    row = first_row(page, table)
    for age, rate in border[:: len(border) // 5 + 1]:
        found = model.predict_proba({**row, "age": f"{age:.9f}", "rate": f"{rate:.9f}%"})[0, 1]
        assert found == pytest.approx(model.threshold, abs=0.003)
    points = page.find_elements("css selector", "#map-picture .point")
    assert len(points) == 500
    before = read(page, "row-note")
    page.execute_script("arguments[0].dispatchEvent(new MouseEvent('click'))", points[17])
    assert read(page, "row-note") != before
    for column in ("city", "at", "note", "owner"):
        choose(page, "axis-x", column)
        assert page.find_elements("css selector", "#map-picture .point")


# The places of the border in the units of the axes, as the ticks tell them.
BORDER = """
const picture = document.getElementById("map-picture");
const read = (text) => Number(text.textContent.replace("\u2212", "-"));
const ticks = (anchor, side) => [...picture.querySelectorAll(`.faint[text-anchor=${anchor}]`)]
  .map((text) => [Number(text.getAttribute(side)), read(text)]);
const scale = ([[a, x], [b, y]]) => (at) => x + ((at - a) * (y - x)) / (b - a);
const across = scale(ticks("middle", "x"));
const down = scale(ticks("end", "y").map(([at, value]) => [at - 4, value]));
const numbers = picture.querySelector(".border").getAttribute("d").match(/[-0-9.]+/g) ?? [];
const place = (k) => [across(Number(numbers[k])), down(Number(numbers[k + 1]))];
return numbers.flatMap((_, k) => (k % 2 ? [] : [place(k)]));
"""


def choose(page, name, column):
    page.execute_script(
        "const select = document.getElementById(arguments[0]);"
        "select.value = [...select.options].find((o) => o.text === arguments[1]).value;"
        "select.dispatchEvent(new Event('input'))",
        *(name, column),
    )


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_the_screen_and_can_be_read(page, width, dark):
    resize(page, width, dark)
    page.execute_script(
        "document.querySelectorAll('details').forEach((each) => (each.open = true))"
    )
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.execute_script(CONTRASTS) == []


CONTRASTS = """
const light = (c) => {
  const parts = c.match(/[0-9.]+/g).slice(0, 3).map((x) => x / 255);
  const [r, g, b] = parts.map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (color !== "rgba(0, 0, 0, 0)") return color;
  }
};
const poor = new Set();
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility() || element.closest("svg, script, style, .skip")) continue;
  const [a, b] = [getComputedStyle(element).color, ground(element)].map(light);
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) poor.add(element.outerHTML.slice(0, 80));
}
return [...poor];
"""


def test_a_screen_reader_finds_its_way(page):
    found = page.execute_script(
        """
        const all = (what) => [...document.querySelectorAll(what)];
        return {
          landmarks: ["header", "nav", "main", "footer"].filter((name) => all(name).length !== 1),
          levels: all("h1, h2, h3").map((head) => Number(head.tagName[1])),
          unlabelled: all("input, select, button")
            .filter((f) => !f.labels?.length && !f.textContent).map((f) => f.outerHTML),
          pictures: all("svg[role=img]").filter((svg) =>
            svg.getAttribute("aria-labelledby").split(" ")
              .some((id) => !document.getElementById(id)?.textContent)).map((svg) => svg.id),
          bare: all("svg:not([role=img]):not([aria-hidden])").length,
          behind: all("figure:not(.map)").filter((f) => !f.querySelector("table")).length,
          ids: all("[id]").map((e) => e.id),
          tables: all("table").filter((table) =>
            !table.caption || !table.querySelector("th[scope]")).length,
          language: document.documentElement.lang,
        };
        """
    )
    ids = found.pop("ids")
    levels = found.pop("levels")
    assert len(set(ids)) == len(ids)
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert found == {
        **{key: [] for key in ("landmarks", "unlabelled", "pictures")},
        **dict.fromkeys(("bare", "behind", "tables"), 0),
        "language": "en",
    }


def test_hostile_names_and_values_stay_text(browser, tmp_path):
    """Nothing in a table can run, load, restyle or reverse anything; all of it is of use."""
    rng = np.random.default_rng(0)
    words, x = np.array(HOSTILE), rng.normal(size=300)
    level = rng.integers(0, len(words), 300)
    table = {name: (x + rng.normal(size=300)).round(3) for name in HOSTILE}
    table |= {"level of it": words[level], "note <b>": words[level[::-1]]}
    answer = '"><svg onload=alert(1)>'
    table[answer] = np.where(x + 0.5 * level + rng.logistic(size=300) > 2, HOSTILE[0], HOSTILE[1])
    model = train(pl.DataFrame(table), target=answer, protected=["note <b>"])
    path = tmp_path / "report.html"
    size = write_report(model, pl.DataFrame(table), path)
    open_page(browser, path)
    assert list_errors(browser) == []
    assert list_requests(browser) == [path.as_uri()]
    assert browser.execute_script("return window.pwned") is None
    assert "49" not in browser.title
    text = browser.execute_script("return document.body.innerText")
    assert "<script>window.pwned = 1</script>" in text
    assert "\\u202egnp.exe" in text
    assert "\u202e" not in text
    assert len(text) < 60_000
    assert size < 400_000
    assert (
        browser.execute_script("return document.querySelectorAll('main img, main script').length")
        == 0
    )
    assert 0 < read_probability(browser) < 1


def test_notebooks_show_models_and_evaluations(browser, loans, tmp_path):
    """Two of them on one page share no name; pictures and tables are as in the report."""
    _, model, _ = loans
    other = model.evaluate(make_loans(300, seed=5))
    fragments = [each._repr_html_() for each in (model, model.evaluation, other)]
    assert max(map(len, fragments)) < 60_000
    path = tmp_path / "notebook.html"
    path.write_text("<!doctype html><title>notebook</title>" + "".join(fragments), "utf-8")
    open_page(browser, path)
    assert list_errors(browser) == []
    assert list_requests(browser) == [path.as_uri()]
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(set(ids)) == len(ids) == 3 * (1 + 4 + 4)
    text = browser.execute_script("return document.body.innerText")
    assert f"{model.evaluation.roc_auc:.4f}" in text
    assert f"{other.roc_auc:.4f}" in text
    assert f"of the {model.evaluation.n} rows held out" in text.lower()


def test_nothing_but_the_page_s_own_script_runs(page):
    page.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.pwned = 1';"
        "document.body.append(script)"
    )
    assert page.execute_script("return window.pwned") is None
    assert any("Content Security Policy" in error for error in list_errors(page))
