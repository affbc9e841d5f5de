// The schema's terms, interpreted: a row of texts -> log-odds, probability, and each column's push.
// `model` is what report/scorer.py writes into the page: the terms of the model file with weights.

const sigmoid = (z) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));
const clip = (x, low, high) => Math.min(Math.max(x, low), high);

function transform(how, x) {
  if (how.kind === "raw") return x;
  const held = clip(x, how.low, how.high);
  if (how.kind === "clip") return held;
  return Math.sign(held) * Math.log1p(Math.abs(held) / how.unit);
}

function addScale(term, value) {
  const scaled = (transform(term.transform, value) - term.center) / term.scale;
  return term.weights[0] * (Number.isNaN(scaled) ? term.fill : scaled);
}

// The place of a level's weight: known levels, then "other", then "missing".
function placeLevel(term, text, missing) {
  const other = term.levels.length;
  const exact = text === null ? undefined : term.places.get(text);
  if (exact !== undefined) return exact;
  const name = text === null ? null : nameLevel(text, missing);
  if (name === null) return other + (term.missing ? 1 : 0);
  return term.places.get(name) ?? other;
}

const TERMS = {
  scale: (term, read) => addScale(term, term.of === "days" ? read.days : read.value),
  missing: (term, read) => (read.absent ? term.weights[0] : 0),
  levels: (term, read, text, missing) =>
    term.of === "value"
      ? term.weights[placeLevel(term, text, missing)]
      : term.weights[term.places.get(String(takePart(read.value, term.of))) ?? term.levels.length],
  words: (term, read) =>
    read.words === null ? 0 : term.words.reduce((sum, word, k) => sum + (read.words.has(word) ? term.weights[k] : 0), 0),
};

// What a column's text is read as; `wrong` says that Python would refuse it.
function readText(column, text, missing) {
  const reading = column.reading, absent = text === null;
  if (reading.kind === "text") {
    const words = absent ? null : readWords(text, missing);
    return { words, absent: words === null };
  }
  if (reading.kind === "level") return { absent: absent || nameLevel(text, missing) === null };
  const readers = { number: readNumber, moment: readMoment, flag: (t) => readFlag(t, missing) };
  const value = absent ? NaN : readers[reading.kind](text, reading, missing);
  if (value === undefined) return { wrong: true };
  const days = reading.kind === "moment" ? countDays(value, reading.origin) : NaN;
  return { value, days, absent: Number.isNaN(value) };
}

// A column's part of the log-odds; NaN for a text that cannot be read.
function contribute(column, text, missing) {
  const read = readText(column, text, missing);
  if (read.wrong) return NaN;
  return column.terms.reduce((sum, term) => sum + TERMS[term.kind](term, read, text, missing), 0);
}

// A model as it stands in the page, with what is looked up often laid out for looking up.
function prepare(stored) {
  const missing = {
    words: new Set(stored.missing.words),
    numbers: stored.missing.numbers,
    names: new Set(stored.missing.names),
  };
  for (const column of stored.columns)
    for (const term of column.terms)
      if (term.kind === "levels") term.places = new Map(term.levels.map((level, k) => [level, k]));
  return { ...stored, missing };
}

// texts: one text or null (missing) for each of model.columns.
function score(model, texts) {
  const parts = model.columns.map((column, j) => contribute(column, texts[j], model.missing));
  const logit = parts.reduce((sum, part) => sum + part, model.bias);
  const pushes = parts.map((part, j) => part - model.columns[j].average);
  const probability = sigmoid(logit);
  return { logit, probability, positive: probability > model.threshold, parts, pushes };
}
