// A value as it is written in the table -> what the schema reads from it. The same rules, in the same
// order, as onelayer/table/: numerals.py, levels.py, moments.py, words.py. Missing is NaN or null;
// what cannot be read is `undefined`.

const DIGIT = "\\p{Nd}";
const EDGES = /^\p{White_Space}+|\p{White_Space}+$/gu;
const PLAIN = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const SPECIAL = /^([+-]?)(?:(inf(?:inity)?)|nan)$/i;
const THOUSANDS = /^[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?$/;
const DECIMAL_COMMA = /^[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+)?(?:,[0-9]*)?(?:[eE][+-]?[0-9]+)?$/;

const strip = (text) => text.replace(EDGES, "");

// Text -> number as polars casts it; null where it is none.
function castNumber(text) {
  if (PLAIN.test(text)) return Number(text);
  const special = SPECIAL.exec(text);
  if (!special) return null;
  return special[2] ? (special[1] === "-" ? -Infinity : Infinity) : NaN;
}

function writePlainly(text, decimal) {
  if (decimal === ",") {
    if (!DECIMAL_COMMA.test(text) || !/[0-9]/.test(text)) return null;
    return text.replaceAll(".", "").replace(",", ".");
  }
  return THOUSANDS.test(text) ? text.replaceAll(",", "") : text;
}

function mendNumber(text, reading, missing) {
  let rest = strip(text);
  if (missing.words.has(rest) || reading.words.includes(rest)) return NaN;
  if (reading.sign) rest = strip(rest.replace(reading.sign, () => ""));
  const plain = writePlainly(rest, reading.decimal);
  return plain === null ? null : castNumber(plain);
}

function readNumber(text, reading, missing) {
  let value = reading.decimal === "." ? castNumber(text) : null;
  if (value === null) value = mendNumber(text, reading, missing);
  if (value === null || Math.abs(value) === Infinity) return undefined;
  return missing.numbers.includes(value) ? NaN : value;
}

// Numbers and booleans that mean the same get one name: 1.0, 01 and +1 are "1", TRUE is "true".
const NUMERAL = new RegExp(`^[+-]?(?:${DIGIT}+(?:\\.${DIGIT}*)?|\\.${DIGIT}+)$`, "u");
const ALIKE = [
  [/^\+/, ""],
  [/^(-?)\./, "$10."],
  [/\.0*$/, ""],
  [new RegExp(`^(-?${DIGIT}+\\.${DIGIT}*?)0+$`, "u"), "$1"],
  [new RegExp(`^(-?)0+(${DIGIT})`, "u"), "$1$2"],
  [/^-0$/, "0"],
];

function writeAlike(text) {
  if (NUMERAL.test(text)) return ALIKE.reduce((name, [from, to]) => name.replace(from, to), text);
  const lower = text.toLowerCase();
  return lower === "true" || lower === "false" ? lower : text;
}

// The name of a level; null where the text means missing.
function nameLevel(text, missing) {
  const bare = strip(text), name = writeAlike(bare);
  return missing.words.has(bare) || missing.names.has(name) ? null : name;
}

const FLAGS = new Map([
  ...["true", "yes", "y", "t", "on", "1"].map((word) => [word, 1]),
  ...["false", "no", "n", "f", "off", "0"].map((word) => [word, 0]),
]);

// 1, 0, or NaN: any other word counts as missing, as in Python.
function readFlag(text, missing) {
  const name = nameLevel(text, missing);
  return name === null ? NaN : (FLAGS.get(name.toLowerCase()) ?? NaN);
}

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]{2,}/gu;

// The set of words of a text; null where it means missing.
function readWords(text, missing) {
  return missing.words.has(strip(text)) ? null : new Set(text.toLowerCase().match(WORD) ?? []);
}
