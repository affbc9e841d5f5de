// Dates and times as they are written -> milliseconds since 1970 in UTC; see onelayer/table/moments.py.

const MONTHS = [
  "january", "february", "march", "april", "may", "june",
  "july", "august", "september", "october", "november", "december",
];
const DAY = 86400000;
const HOUR = 3600000;
// Each shape of a date with the order of its parts; "?" is that of the column: day or month first.
const DATES = [
  [/^([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})/, (m) => [m[1], m[3], m[4]]],
  [/^([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})/, (m, dmy) => turn(m[4], m[1], m[3], dmy)],
  [/^([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{2})/, (m, dmy) => turn(pivot(m[4]), m[1], m[3], dmy)],
  [/^([0-9]{1,2})([-/. ])([A-Za-z]{3,9})\2([0-9]{4})/, (m) => [m[4], monthNamed(m[3]), m[1]]],
  [/^([A-Za-z]{3,9})( )([0-9]{1,2}), ([0-9]{4})/, (m) => [m[4], monthNamed(m[1]), m[3]]],
  [/^([0-9]{4})([0-9]{2})([0-9]{2})/, (m) => [m[1], m[2], m[3]]],
];
const CLOCK = "([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})([.][0-9]+)?)?( ?[AaPp][Mm])?";
const ZONE = "(?: ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?";
const TIME = new RegExp(`^(?:T|t| |, )${CLOCK}${ZONE}$`);
const CLOCK_ALONE = new RegExp(`^${CLOCK}$`);

const turn = (year, first, second, dmy) => (dmy ? [year, second, first] : [year, first, second]);
const pivot = (year) => (Number(year) < 70 ? 2000 : 1900) + Number(year);

function monthNamed(name) {
  const lower = name.toLowerCase();
  return MONTHS.findIndex((month) => month === lower || month.slice(0, 3) === lower) + 1;
}

// Midnight of a day; undefined where the calendar has no such day.
function dayToMoment([year, month, day]) {
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const same = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  return same ? date.getTime() : undefined;
}

// Milliseconds into the day. A second 60 is the next minute.
function readClock([, hourText, minuteText, secondText, fraction, noon]) {
  let hour = Number(hourText);
  const minute = Number(minuteText), second = Number(secondText ?? 0);
  if (minute > 59 || second > 60 || hour > 23) return undefined;
  if (noon) {
    if (hour < 1 || hour > 12) return undefined;
    hour = (hour % 12) + (/p/i.test(noon) ? 12 : 0);
  }
  const part = fraction ? Math.floor(Number(`0${fraction}`) * 1000) : 0;
  return ((hour * 60 + minute) * 60 + second) * 1000 + part;
}

function readZone(zone) {
  if (!zone || zone === "Z" || zone === "UTC") return 0;
  const hours = Number(zone.slice(1, 3)), minutes = Number(zone.slice(-2));
  if (hours > 23 || minutes > 59) return undefined;
  return (zone[0] === "-" ? -1 : 1) * (hours * 60 + minutes) * 60000;
}

function readTimeOfDay(rest) {
  if (!rest) return 0;
  const found = TIME.exec(rest);
  if (!found) return undefined;
  const clock = readClock(found), zone = readZone(found[6]);
  return clock === undefined || zone === undefined ? undefined : clock - zone;
}

function parseMoment(text, dmy) {
  const clock = CLOCK_ALONE.exec(text);
  if (clock) {
    const time = readClock(clock);
    return time < DAY ? time : undefined;
  }
  for (const [shape, parts] of DATES) {
    const found = shape.exec(text);
    if (!found) continue;
    const time = readTimeOfDay(text.slice(found[0].length));
    // A shape whose rest is no time may still be another shape: 01/02/20 begins 01/02/2024.
    if (time === undefined) continue;
    const day = dayToMoment(parts(found, dmy));
    return day === undefined ? undefined : day + time;
  }
  return undefined;
}

// NaN where missing, undefined where it is no date.
function readMoment(text, reading, missing) {
  const bare = strip(text);
  if (missing.words.has(bare) || reading.words.includes(bare)) return NaN;
  return parseMoment(bare, reading.order === "dmy");
}

const countDays = (moment, origin) =>
  Math.floor(moment / DAY) - Math.floor(Date.parse(`${origin}T00:00:00Z`) / DAY);

// Month 1-12, ISO weekday 1-7, hour 0-23; -1 where missing.
function takePart(moment, part) {
  if (Number.isNaN(moment)) return -1;
  const days = Math.floor(moment / DAY);
  if (part === "month") return new Date(moment).getUTCMonth() + 1;
  if (part === "weekday") return ((((days + 3) % 7) + 7) % 7) + 1; // 1970-01-01 was a Thursday
  return Math.floor((moment - days * DAY) / HOUR);
}
