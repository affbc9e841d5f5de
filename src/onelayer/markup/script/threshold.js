// The slider: another threshold, and what becomes of decisions, costs, and the points on the curves.

// cuts: thresholds from the lowest to the highest, with recall and false alarms at each.
function startThreshold(cuts, moved) {
  const slider = byId("cut"), costs = [byId("cost-fp"), byId("cost-fn")];
  const cells = (k) => countDecisions(cuts, k);

  function show() {
    const k = Number(slider.value), cut = cuts.places[k], found = cells(k);
    slider.setAttribute("aria-valuetext", fixed(cut.threshold, 4));
    showDecisions(found, cut);
    showCosts(found, costs);
    moveMarks(cut, found);
    moved(cut.threshold);
  }

  slider.addEventListener("input", show);
  for (const field of costs) field.addEventListener("input", show);
  byId("cut-own").addEventListener("click", () => go(cuts.own));
  byId("cut-cheapest").addEventListener("click", () => go(findCheapest()));

  function go(k) {
    slider.value = String(k);
    show();
  }

  function findCheapest() {
    const price = costs.map((field) => Number(field.value));
    const cost = cuts.places.map((_, k) => cells(k).fp * price[0] + cells(k).fn * price[1]);
    return cost.indexOf(Math.min(...cost));
  }

  show();
}

// The model's own threshold has the counts that Python found; the others follow from the rates.
function countDecisions(cuts, k) {
  const { recall, falseAlarms } = cuts.places[k], { positives, negatives } = cuts;
  if (k === cuts.own) return cuts.confusion;
  const exact = (x) => (cuts.whole ? Math.round(x) : x);
  const tp = exact(recall * positives), fp = exact(falseAlarms * negatives);
  return { tp, fp, fn: positives - tp, tn: negatives - fp };
}

function showDecisions(found, cut) {
  const { tp, fp, fn, tn } = found, all = tp + fp + fn + tn;
  for (const name of ["tp", "fp", "fn", "tn"]) byId(`cell-${name}`).textContent = amount(found[name]);
  const said = {
    "cut-value": fixed(cut.threshold, 4),
    "rate-called": percent((tp + fp) / all),
    "rate-accuracy": percent((tp + tn) / all),
    "rate-precision": percent(tp / (tp + fp)),
    "rate-recall": percent(tp / (tp + fn)),
    "rate-alarms": percent(fp / (fp + tn)),
  };
  for (const [id, text] of Object.entries(said)) byId(id).textContent = text;
}

function showCosts({ tp, fp, fn, tn }, fields) {
  const [priceFp, priceFn] = fields.map((field) => Number(field.value));
  const total = fp * priceFp + fn * priceFn, all = tp + fp + fn + tn;
  byId("cost-total").textContent = Math.abs(total) >= 1e4 ? amount(Math.round(total)) : short(total);
  byId("cost-row").textContent = short(total / all);
  byId("cost-never").textContent = short(((tp + fn) * priceFn) / all);
  byId("cost-always").textContent = short(((fp + tn) * priceFp) / all);
}

// Points on the curves: each picture says in its own units where its plane begins and ends.
function moveMarks(cut, { tp, fp, fn, tn }) {
  const called = (tp + fp) / (tp + fp + fn + tn);
  const places = {
    roc: [cut.falseAlarms, cut.recall],
    precision: [cut.recall, tp + fp > 0 ? tp / (tp + fp) : 1],
    gain: [called, cut.recall],
  };
  for (const [name, [x, y]] of Object.entries(places)) {
    const picture = byId(name);
    if (!picture) continue;
    const mark = picture.querySelector(".now") ?? picture.appendChild(make("circle", { class: "now", r: 6 }));
    mark.setAttribute("cx", 54 + x * 372);
    mark.setAttribute("cy", 274 - y * 260);
  }
}
