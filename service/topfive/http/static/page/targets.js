// The choice among the models, and their versions, that photos can be sent to; and a second one for comparison.

import { Refusal, choosableTargets, configOf } from "./api.js";
import { recallKey } from "./key.js";

const element = (id) => document.getElementById(id);
const NONE = { model: "", version: "" };
const configs = new Map(); // by model and version
let targets = new Map(); // by the value of their options
let areKnown = false;

/** What is asked; empty parts leave the choice to the service. */
export function chosenTarget() {
  return targets.get(element("model").value) ?? NONE;
}

/** What is asked beside it; null for nothing. */
export function besideTarget() {
  return targets.get(element("against").value) ?? null;
}

/** Let the person choose where there is a choice; `current` has answered just now, null if a choice is needed. */
export async function offerTargets(current) {
  if (areKnown && current !== null) return;
  try {
    const offered = await choosableTargets({ key: recallKey(), known: current?.model });
    areKnown = true;
    if (offered.length > 1 || current === null) showTargets(offered, current);
    if (current === null) element("model").focus(); // it is what must be done next
  } catch (error) {
    // Its answer, or why there is none, stands there already; the next answer asks again.
    if (!(error instanceof Refusal)) throw error;
  }
}

/** The configuration of a model that has answered; null if it cannot be had, because the model has left meanwhile, say. */
export async function knownConfig({ model, version }) {
  const name = `${model} ${version}`;
  try {
    if (!configs.has(name)) configs.set(name, await configOf({ model, version }, { key: recallKey() }));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
  return configs.get(name) ?? null;
}

/** Offer `offered`, of which `current` has answered just now; null if a person must choose. */
function showTargets(offered, current) {
  const versions = (model) => offered.filter((target) => target.model === model).length;
  const named = offered.map((target) => {
    const several = versions(target.model) > 1;
    const name = several ? `${target.model}, version ${target.version}` : target.model;
    return [name, several ? target : { model: target.model, version: "" }];
  });
  targets = new Map(named);
  const isCurrent = ({ model, version }) => current !== null && model === current.model && (!version || version === current.version);
  const options = named.map(([name, target]) => new Option(name, name, isCurrent(target), isCurrent(target)));
  element("model").replaceChildren(...(current === null ? [new Option("choose one", "", true, true)] : []), ...options);
  const before = element("against").value;
  const others = named.map(([name]) => new Option(name, name, false, name === before));
  element("against").replaceChildren(new Option("nothing", ""), ...others);
  element("models").hidden = false;
  element("compare").hidden = named.length < 2;
}
