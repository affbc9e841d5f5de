// The what-if panel: a field for each column; every key stroke scores the row anew.

const OTHER = "(another value)";

function startPanel(model, rows, shownMap) {
  const state = { texts: [], original: [], threshold: model.threshold, place: 0 };
  const fields = model.columns.map((column, j) => makeField(column, j, (text) => change(j, text)));
  const order = model.columns.map((_, j) => j).sort((a, b) => model.columns[b].moves - model.columns[a].moves);
  layFields(order.map((j) => fields[j].element));
  const map = shownMap(model, rows, state, load);

  function change(j, text) {
    state.texts[j] = text;
    show();
  }

  function load(place) {
    state.place = place;
    state.original = rows.texts(place);
    state.texts = [...state.original];
    fields.forEach((field, j) => field.fill(state.texts[j]));
    byId("row").value = String(place + 1);
    show();
  }

  function show() {
    const found = score(model, state.texts);
    found.positive = found.probability > state.threshold;
    fields.forEach((field, j) => field.mark(Number.isNaN(found.parts[j]), state.texts[j] !== state.original[j]));
    showVerdict(model, state, found, rows);
    showReasons(model, state.texts, found.pushes);
    map.show(found);
  }

  const step = (by) => load((state.place + by + rows.count) % rows.count);
  byId("row").addEventListener("input", (event) => {
    const place = Number(event.target.value) - 1;
    if (Number.isInteger(place) && place >= 0 && place < rows.count) load(place);
  });
  byId("row-before").addEventListener("click", () => step(-1));
  byId("row-next").addEventListener("click", () => step(1));
  byId("row-reset").addEventListener("click", () => load(state.place));
  load(0);
  return {
    threshold: () => state.threshold,
    moveThreshold(threshold) {
      state.threshold = threshold;
      show();
    },
  };
}

const FIRST_FIELDS = 16;

// The columns that move most lie open, the others behind a line to open them by.
function layFields(elements) {
  const first = elements.length > FIRST_FIELDS + 4 ? FIRST_FIELDS : elements.length;
  byId("fields").append(...elements.slice(0, first));
  byId("fields-others").append(...elements.slice(first));
  byId("others").hidden = first === elements.length;
  byId("others").firstElementChild.textContent = `${elements.length - first} more columns`;
}

// A field that fits how the column is read. `fill` shows a text of the table, `mark` what became of it.
function makeField(column, j, changed) {
  const id = `field-${j}`, note = make("span", { class: "wrong", id: `${id}-note` });
  const input = FIELDS[column.reading.kind](column, id);
  input.element.addEventListener("input", () => changed(input.read()));
  input.element.setAttribute("aria-describedby", note.id);
  const label = make("label", { for: id }, isolate(shown(column.name)));
  const element = make("div", { class: "field" }, label, input.element, note);
  return {
    element,
    fill: input.fill,
    mark(wrong, differs) {
      element.classList.toggle("changed", differs);
      input.element.setAttribute("aria-invalid", String(wrong));
      note.textContent = wrong ? WRONG[column.reading.kind] : "";
    },
  };
}

const WRONG = { number: "not a number", moment: "not a date" };

function makeTextField(column, id, extra = {}) {
  const element = make("input", { id, type: "text", autocomplete: "off", spellcheck: "false", ...extra });
  return {
    element,
    read: () => (element.value === "" ? null : element.value),
    fill: (text) => (element.value = text ?? ""),
  };
}

// Choices are texts that the schema reads; a text of the table that is none of them is named OTHER.
function makeChoice(id, choices, placeOf) {
  const element = make("select", { id });
  for (const [value, label] of choices) element.append(make("option", { value }, label));
  return {
    element,
    read: () => (element.value === "" ? null : element.value),
    fill: (text) => (element.value = placeOf(text)),
  };
}

function makeLevels(column, id, missing) {
  const { levels, places } = column.terms[0];
  const choices = [...levels.map((level) => [level, shown(level)]), [OTHER, OTHER], ["", "(missing)"]];
  return makeChoice(id, choices, (text) => {
    const name = text === null ? null : nameLevel(text, missing);
    if (places.has(text)) return text;
    return name === null ? "" : places.has(name) ? name : OTHER;
  });
}

function makeFlag(id, missing) {
  const choices = [["1", "yes"], ["0", "no"], ["", "(missing)"]];
  return makeChoice(id, choices, (text) => {
    const value = text === null ? NaN : readFlag(text, missing);
    return Number.isNaN(value) ? "" : String(value);
  });
}

// A date as the browser's own field has it, with the time of day where that counts (in UTC).
function makeDate(column, id, missing) {
  const timed = column.terms.some((term) => term.of === "hour");
  const element = make("input", { id, type: timed ? "datetime-local" : "date", step: timed ? 1 : "any" });
  const length = timed ? 19 : 10;
  return {
    element,
    read: () => (element.value === "" ? null : element.value),
    fill(text) {
      const moment = text === null ? NaN : readMoment(text, column.reading, missing);
      element.value = Number.isFinite(moment) ? new Date(moment).toISOString().slice(0, length) : "";
    },
  };
}

const FIELDS = {
  number: (column, id) => makeTextField(column, id, { inputmode: "decimal", placeholder: "missing" }),
  text: (column, id) => makeTextField(column, id, { placeholder: "missing" }),
  level: (column, id) => makeLevels(column, id, column.missing),
  flag: (column, id) => makeFlag(id, column.missing),
  moment: (column, id) => makeDate(column, id, column.missing),
};

function showVerdict(model, state, found, rows) {
  const readable = !Number.isNaN(found.probability), chosen = found.positive ? model.positive : model.negative;
  const number = byId("probability");
  number.textContent = readable ? chance(found.probability) : "\u2013";
  number.dataset.exact = String(found.probability);
  byId("decision").replaceChildren(
    ...(readable ? ["The model says ", isolate(shown(chosen, 24), "value"), "."] : ["A field cannot be read."]),
  );
  byId("decision").dataset.value = readable ? chosen : "";
  const fill = byId("gauge-fill");
  fill.style.width = readable ? `${100 * found.probability}%` : "0";
  fill.classList.toggle("positive", found.positive);
  byId("gauge-cut").style.left = `${100 * state.threshold}%`;
  byId("verdict-note").textContent =
    `z = ${fixed(found.logit, 3)}; threshold ${fixed(state.threshold, 4)}` +
    (state.threshold === model.threshold ? "" : ` (moved; the model's own is ${fixed(model.threshold, 4)})`);
  byId("row-note").replaceChildren(...rows.describe(state.place));
}
