// What the page starts with: the model and rows that were written into it.

// Rows are kept column by column: the different texts of each, and for each row which of them it has.
function unpackRows(stored, target, source) {
  const textAt = (column, n) => (column.at[n] < 0 ? null : column.texts[column.at[n]]);
  return {
    count: stored.numbers.length,
    texts: (n) => stored.columns.map((column) => textAt(column, n)),
    column: (j) => stored.columns[j].at.map((_, n) => textAt(stored.columns[j], n)),
    label: (n) => stored.labels[n],
    describe(n) {
      const where = stored.numbers[n] < 0 ? ["A typical row"] : [`Row ${amount(stored.numbers[n] + 1)} of `, isolate(shown(source))];
      const answer = stored.labels[n] === null ? [] : ["; there ", isolate(shown(target.name)), " is ", isolate(shown(target.values[stored.labels[n]]), "value")];
      return [...where, ...answer, "."];
    },
  };
}

function start() {
  const stored = JSON.parse(byId("onelayer-data").textContent);
  const model = prepare(stored.model);
  for (const column of model.columns) column.missing = model.missing;
  const target = { name: model.target, values: [model.negative, model.positive] };
  const rows = unpackRows(stored.rows, target, stored.source);
  const panel = startPanel(model, rows, startMap);
  if (stored.cuts) startThreshold(stored.cuts, panel.moveThreshold);
  document.documentElement.classList.add("live");
  // For whoever opens the console: the model as a function of texts, one for each of the columns.
  globalThis.onelayer = {
    columns: model.columns.map((column) => column.name),
    score: (texts) => score(model, texts),
    words: (texts) => model.columns.map((column, j) => make("p", {}, ...sayReason(column, texts[j])).textContent),
    threshold: panel.threshold,
  };
}

start();
