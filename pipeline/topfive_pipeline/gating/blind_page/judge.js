// What a judge can do: choose for the photo that is shown, undo the last choice, and at the end see the result.
//
// The server says what comes next, and never which answer is whose before the end. One thing is sent at a time, and
// nothing can be chosen before the photo is seen.

import { showAlert, showEnd, showQuestion, showResult } from "./view.js";

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "neither", ArrowDown: "equal" };
const element = (id) => document.getElementById(id);

let state = null;
let isBusy = true; // until the first state is here

/** What the server answers to `path`; raises an Error with what it says, or that nothing answers. */
async function ask(path, body) {
  const options = body ? { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : {};
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw new Error("Nothing answers. Is topfive judge still running? What was counted here is stored.", { cause: error });
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(`This was not stored: ${answer.error}.`);
  return answer;
}

/** Do `work` unless something else is being done; what fails is told. */
async function alone(work) {
  if (isBusy) return;
  isBusy = true;
  try {
    await work();
    showAlert("");
  } catch (error) {
    showAlert(error.message);
  } finally {
    isBusy = false;
  }
}

async function show(next) {
  state = next;
  if (state.question) await showQuestion(state);
  else if (state.can_undo) showEnd(state);
  else await reveal();
}

async function reveal() {
  showResult(state, await ask("result"));
}

function choose(choice) {
  if (state?.question) alone(async () => show(await ask("choice", { number: state.question.number, choice })));
}

function undo() {
  if (state?.can_undo) alone(async () => show(await ask("undo", {})));
}

for (const button of document.querySelectorAll("[data-choice]")) button.addEventListener("click", () => choose(button.dataset.choice));
element("undo").addEventListener("click", undo);
element("reveal").addEventListener("click", () =>
  alone(async () => {
    await reveal();
    state.can_undo = false;
  }),
);
window.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const isUndo = event.key.toLowerCase() === "u";
  if (!isUndo && !(event.key in KEYS && state?.question)) return;
  event.preventDefault(); // arrows would scroll
  if (event.repeat) return; // a key that is held judges one photo
  if (isUndo) undo();
  else choose(KEYS[event.key]);
});

isBusy = false;
alone(async () => show(await ask("state")));
