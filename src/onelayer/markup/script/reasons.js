// Reasons in words, as onelayer/table/wording.py has them: "debt ratio 0.61 is above the average 0.34".

const MOST_REASONS = 8;

function showReasons(model, texts, pushes) {
  const order = pushes.map((push, j) => [push, j]).sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]));
  const largest = Math.max(...pushes.map(Math.abs)) || 1;
  const items = order
    .slice(0, MOST_REASONS)
    .filter(([push]) => fixed(Math.abs(push), 2) !== "0.00")
    .map(([push, j]) => makeReason(sayReason(model.columns[j], texts[j]), push, largest));
  const rest = order.slice(MOST_REASONS).reduce((sum, [push]) => sum + push, 0);
  if (order.length > MOST_REASONS) items.push(makeReason([`${order.length - MOST_REASONS} more columns`], rest, largest));
  byId("reasons-list").replaceChildren(...items);
}

function makeReason(words, push, largest) {
  const side = push >= 0 ? "positive" : "negative";
  const bar = make("span", { class: `bar ${side}` });
  bar.style.width = `${Math.min(100, (100 * Math.abs(push)) / largest)}%`;
  return make("li", {}, make("span", {}, ...words), make("span", { class: `number ${side}-text` }, signed(push, 2)), bar);
}

// The sentence in parts: text of the table stands apart, so that its direction cannot turn the rest.
function sayReason(column, text) {
  const name = isolate(shown(column.name, 40)), read = readText(column, text, column.missing);
  if (read.wrong) return [name, " cannot be read"];
  if (read.absent) return [name, " is missing", inRows(column.said.missing)];
  return [name, ...SENTENCES[column.reading.kind](column, strip(text), read)];
}

const inRows = (share) => (share ? ` (${share} of the rows)` : "");

const SENTENCES = {
  number: sayNumber,
  flag: (column, text, read) => [" is ", isolate(shown(text, 40)), inRows(column.said.shares?.[read.value])],
  level: sayLevel,
  moment: (column, text, read) => [" ", isolate(shown(text, 40)), sayDay(column, read)],
  text: (column, text) => [" is ", isolate(shown(text, 40))],
};

function sayNumber(column, text, { value }) {
  const known = isolate(text.length > 8 ? short(value) : shown(text, 40));
  if (!column.said.reference) return [" is ", known];
  const [[reference, called], [low, high]] = [column.said.reference, column.said.limits];
  const beyond = high && value > high[0] ? high : low && value < low[0] ? low : null;
  const counted = beyond ? ` (counted as ${beyond[1]})` : "";
  if (called.endsWith(` ${text}`)) return [" ", known, counted, ` is about ${called.split(" ")[0]}`];
  return [" ", known, counted, ` is ${value > reference ? "above" : "below"} the ${called}`];
}

function sayLevel(column, text) {
  const { levels, places } = column.terms[0];
  const place = places.get(text) ?? places.get(nameLevel(text, column.missing));
  const told = place === undefined ? " (rare or new: counted as another)" : inRows(column.said.shares[place]);
  return [" is ", isolate(shown(levels[place] ?? text, 40)), told];
}

function sayDay(column, { days }) {
  const trend = column.terms.find((term) => term.of === "days");
  if (!trend) return "";
  const average = new Date(Date.parse(column.reading.origin) + Math.round(trend.center) * DAY);
  return ` is ${days > Math.round(trend.center) ? "after" : "before"} the average ${average.toISOString().slice(0, 10)}`;
}
