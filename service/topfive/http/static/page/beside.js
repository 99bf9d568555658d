// Two answers of two models, or of two versions, for one photo: side by side, with what differs.

import { bar, made, percent } from "./elements.js";

const element = (id) => document.getElementById(id);
const NOTICED = 0.01; // of probability: less is no difference that anybody would look for

/** Show `answers`, two of the API's. */
export function showBeside([first, second]) {
  element("beside").hidden = false;
  element("beside-verdict").textContent = verdict(first, second);
  element("pair").replaceChildren(column(first, second), column(second, first));
}

export function hideBeside() {
  element("beside").hidden = true;
  element("pair").replaceChildren();
}

/** Say in place of the second answer why there is none; or that it is on its way. */
export function tellBeside(text) {
  element("beside").hidden = false;
  element("beside-verdict").textContent = text;
  element("pair").replaceChildren();
}

/** Both in a sentence. */
export function verdict(first, second) {
  const [one, other] = [first, second].map(({ predictions: [best] }) => best);
  if (!one || !other) return "One of the two gives no label.";
  if (one.label === other.label) {
    const apart = Math.abs(one.probability - other.probability);
    const how = apart < NOTICED ? "and are as sure of it" : `${percent(one.probability)} against ${percent(other.probability)}`;
    return `Both say ${one.label}, ${how}.`;
  }
  return `They differ: ${one.label} (${percent(one.probability)}) against ${other.label} (${percent(other.probability)}).`;
}

function column(answer, other) {
  const theirs = new Map(other.predictions.map(({ label, probability }) => [label, probability]));
  const list = made("ol", "bars");
  list.setAttribute("role", "list");
  list.append(
    ...answer.predictions.map(({ label, probability }) => {
      const item = bar(label, percent(probability), probability * 100, difference(probability, theirs.get(label)));
      if (!theirs.has(label)) item.dataset.differs = "true";
      return item;
    }),
  );
  return made("div", "column", made("h3", "", `${answer.model}, version ${answer.version}`), list);
}

function difference(probability, theirs) {
  if (theirs === undefined) return "only here";
  const points = (probability - theirs) * 100;
  return Math.abs(points) < NOTICED * 100 ? "" : `${points > 0 ? "+" : "−"}${Math.abs(points).toFixed(1)} points`;
}
