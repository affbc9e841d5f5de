// Numbers and text for people, as markup/words.py writes them; elements from names.

const MINUS = "\u2212";

const fixed = (x, places) => (Number.isFinite(x) ? withMinus(x.toFixed(places)) : "\u2013");
const withMinus = (text) => (Number(text) === 0 ? text.replace("-", "") : text.replace("-", MINUS));
const signed = (x, places) => (x > 0 && Number(x.toFixed(places)) ? "+" : "") + fixed(x, places);
const percent = (share, places = 1) =>
  Number.isFinite(share) ? `${fixed(100 * share, places)}\u202f%` : "\u2013";

// A probability, which is never quite 0 or 1.
function chance(probability) {
  if (probability < 1e-4) return "under 0.01\u202f%";
  return probability > 1 - 1e-4 ? "over 99.99\u202f%" : percent(probability, 2);
}

function amount(x) {
  const text = Number.isInteger(x) ? String(x) : x.toFixed(1);
  return withMinus(text.replace(/\B(?=(\d{3})+(?!\d))/g, ","));
}

function short(x) {
  if (!Number.isFinite(x)) return "\u2013";
  const digits = Math.abs(x) >= 1e4 && Math.abs(x) < 1e9 ? x.toFixed(0) : String(Number(x.toPrecision(4)));
  return withMinus(digits);
}

// What cannot be seen is spelled out (marks of direction, control characters); what is long is cut.
function shown(text, most = 60) {
  const visible = text
    .slice(0, most + 1)
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);
  return visible.length <= most ? visible : `${visible.slice(0, most - 1)}\u2026`;
}

const byId = (id) => document.getElementById(id);

// make("p", {class: "soft"}, "text", element, ...): text is only ever text.
function make(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "circle", "text", "rect", "g", "title", "desc"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const isolate = (text, kind = "") => make("bdi", { class: kind }, text);
