// Two columns as axes: the rows of the sample, and the border between the decisions with all other
// columns as they stand in the panel.

const MAP = { width: 640, height: 440, left: 66, right: 16, top: 14, bottom: 54 }; // width: as the page has it
const GRID = 96; // places across and down at which the border is looked for

function startMap(model, rows, state, load) {
  const choices = ["axis-x", "axis-y"].map(byId), picture = byId("map-picture");
  const order = model.columns.map((_, j) => j).sort((a, b) => model.columns[b].moves - model.columns[a].moves);
  choices.forEach((choice, k) => {
    order.forEach((j) => choice.append(make("option", { value: j }, shown(model.columns[j].name))));
    choice.value = String(order[Math.min(k, order.length - 1)]);
    choice.addEventListener("input", draw);
  });
  let latest = null;

  function draw() {
    MAP.width = Math.max(320, picture.clientWidth);
    picture.setAttribute("viewBox", `0 0 ${MAP.width} ${MAP.height}`);
    const [x, y] = choices.map((choice) => makeAxis(model, rows, Number(choice.value)));
    MAP.left = y.named ? Math.min(150, MAP.width / 4) : 66;
    const rest = latest.logit - latest.parts[x.j] - (x.j === y.j ? 0 : latest.parts[y.j]);
    picture.replaceChildren(
      byId("map-picture-title"), byId("map-picture-desc"), ...drawTicks(x, y),
      ...drawBorder(model, state, x, y, rest), ...drawPoints(rows, x, y, load), drawHere(state, x, y),
    );
    byId("map-picture-desc").textContent =
      `${shown(model.columns[x.j].name)} across, ${shown(model.columns[y.j].name)} up; ${rows.count} rows of the sample.`;
  }

  addEventListener("resize", draw);
  return {
    show(found) {
      latest = found;
      draw();
    },
  };
}

// An axis: a column's numbers or days from the least to the greatest, or its levels side by side.
// `place(text)` is 0..1 along it, NaN where the text has no place; `text(place)` the other way.
function makeAxis(model, rows, j) {
  const column = model.columns[j], kind = column.reading.kind;
  if (kind === "number" || kind === "moment") return makeNumbers(column, rows, j);
  if (kind === "text") return makeBands(column, j, ["(a text)"], () => 0, () => null);
  const levels = kind === "flag" ? ["0", "1"] : column.terms[0].levels.slice(0, 12);
  const names = kind === "flag" ? ["no", "yes"] : levels;
  const find = (text) =>
    levels.indexOf(kind === "flag" ? String(readFlag(text, column.missing)) : nameLevel(text, column.missing));
  return makeBands(column, j, [...names, "other, missing"], (text) => {
    const at = text === null ? -1 : find(text);
    return at < 0 ? names.length : at;
  }, (k) => levels[k] ?? (kind === "flag" ? null : OTHER));
}

function makeNumbers(column, rows, j) {
  const isDate = column.reading.kind === "moment";
  const read = (text) => {
    if (text === null) return NaN;
    return isDate ? readMoment(text, column.reading, column.missing) : readNumber(text, column.reading, column.missing);
  };
  const values = rows.column(j).map(read).filter(Number.isFinite).sort((a, b) => a - b);
  // The outermost rows would press all others into a corner.
  const pick = (share) => values[Math.round(share * (values.length - 1))] ?? 0;
  let [low, high] = [pick(0.01), pick(0.99)];
  if (!(high > low)) [low, high] = [low - 1, low + 1];
  const margin = 0.03 * (high - low);
  [low, high] = [low - margin, high + margin];
  const write = isDate
    ? (place) => new Date(low + place * (high - low)).toISOString().slice(0, 19)
    : (place) => writeNumber(low + place * (high - low), column.reading);
  const ticks = isDate
    ? [0.1, 0.5, 0.9].map((place) => [place, write(place).slice(0, 10)])
    : roundNumbers(low, high).map((x) => [(x - low) / (high - low), short(x)]);
  const apart = new Set(values).size <= 12 ? 18 : 0; // few numbers: rows beside each other, as for levels
  return { j, name: column.name, text: write, ticks, place: (text) => (read(text) - low) / (high - low), bands: apart };
}

function roundNumbers(low, high) {
  const power = 10 ** Math.floor(Math.log10((high - low) / 5));
  const step = [1, 2, 5, 10].map((unit) => unit * power).find((each) => each >= (high - low) / 5);
  const first = Math.ceil(low / step), many = Math.floor(high / step) - first + 1;
  return Array.from({ length: many }, (_, k) => Number(((first + k) * step).toPrecision(12)));
}

const writeNumber = (x, reading) => (reading.decimal === "," ? String(x).replace(".", ",") : String(x));

function makeBands(column, j, names, find, text) {
  const n = names.length, middle = (k) => (k + 0.5) / n;
  const ticks = names.map((name, k) => [middle(k), name]);
  return {
    j, ticks, bands: n, name: column.name, named: true,
    place: (value) => middle(find(value)),
    text: (place) => text(Math.min(n - 1, Math.floor(place * n))),
  };
}

const across = (place) => MAP.left + place * (MAP.width - MAP.left - MAP.right);
const down = (place) => MAP.height - MAP.bottom - place * (MAP.height - MAP.top - MAP.bottom);

function drawTicks(x, y) {
  const parts = [make("path", { class: "frame", d: `M${MAP.left} ${MAP.top}V${down(0)}H${across(1)}` })];
  const room = [(MAP.width - MAP.left) / (8 * x.ticks.length), (MAP.left - 36) / 7].map((most) => Math.max(4, Math.floor(most)));
  for (const [place, label] of x.ticks)
    parts.push(make("text", { class: "faint", x: across(place), y: down(0) + 20, "text-anchor": "middle" }, shown(label, room[0])));
  for (const [place, label] of y.ticks)
    parts.push(make("text", { class: "faint", x: MAP.left - 8, y: down(place) + 4, "text-anchor": "end" }, shown(label, room[1])));
  const middle = (MAP.top + down(0)) / 2;
  parts.push(make("text", { x: across(0.5), y: MAP.height - 8, "text-anchor": "middle" }, shown(x.name)));
  parts.push(make("text", { transform: `translate(14 ${middle}) rotate(-90)`, "text-anchor": "middle" }, shown(y.name)));
  return parts;
}

// z is a sum over columns: a part for each place across, one for each place down, and the rest.
function drawBorder(model, state, x, y, rest) {
  const cut = Math.log(state.threshold) - Math.log1p(-state.threshold);
  const parts = [x, y].map((axis) =>
    Array.from({ length: GRID + 1 }, (_, k) =>
      contribute(model.columns[axis.j], axis.text(k / GRID), model.missing)));
  const level = (i, k) => rest + parts[0][i] + (x.j === y.j ? 0 : parts[1][k]) - cut;
  const region = [], border = [];
  for (let i = 0; i < GRID; i++)
    for (let k = 0; k < GRID; k++) {
      const { inside, ends } = walkCell(level, i, k);
      if (inside.length) region.push(`${trace(inside)}Z`);
      for (let n = 0; n + 1 < ends.length; n += 2) border.push(trace(ends.slice(n, n + 2)));
    }
  return [make("path", { class: "region", d: region.join("") }), make("path", { class: "border", d: border.join("") })];
}

// Of one cell: the corners at which the positive value is said, and the places where its edges meet
// the border, on the way around.
function walkCell(level, i, k) {
  const corners = [[i, k], [i + 1, k], [i + 1, k + 1], [i, k + 1]].map(([a, b]) => [a, b, level(a, b)]);
  const inside = [], ends = [];
  corners.forEach((here, n) => {
    const next = corners[(n + 1) % 4];
    if (here[2] > 0) inside.push(here);
    if (here[2] > 0 === next[2] > 0) return;
    const share = here[2] / (here[2] - next[2]);
    const end = [here[0] + share * (next[0] - here[0]), here[1] + share * (next[1] - here[1])];
    inside.push(end);
    ends.push(end);
  });
  return { inside, ends };
}

const trace = (points) =>
  points.map(([a, b], n) => `${n ? "L" : "M"}${across(a / GRID).toFixed(1)} ${down(b / GRID).toFixed(1)}`).join("");

// Rows of one level lie beside each other; the same ones in the same places each time.
const jitter = (n, axis) => (axis.bands ? (((n * 0.6180339887) % 1) - 0.5) * (0.7 / axis.bands) : 0);
const held = (place) => Math.min(Math.max(place, 0), 1);

function drawPoints(rows, x, y, load) {
  const points = [];
  for (let n = 0; n < rows.count; n++) {
    const texts = rows.texts(n), places = [x.place(texts[x.j]), y.place(texts[y.j])];
    if (!places.every(Number.isFinite)) continue;
    const kind = { 1: "positive", 0: "negative" }[rows.label(n)] ?? "unknown";
    const point = make("circle", {
      class: `point ${kind}`, r: 4,
      cx: across(held(places[0] + jitter(n, x))).toFixed(1), cy: down(held(places[1] + jitter(7 * n + 3, y))).toFixed(1),
    });
    point.addEventListener("click", () => load(n));
    points.push(point);
  }
  return points;
}

function drawHere(state, x, y) {
  const places = [x.place(state.texts[x.j]), y.place(state.texts[y.j])].map((place) => (Number.isFinite(place) ? held(place) : -1));
  const there = places.every((place) => place >= 0);
  return make("circle", { class: "here", r: there ? 9 : 0, cx: across(places[0]), cy: down(places[1]) });
}
