// What a person can do on this page, and what it remembers: the photo that is shown, or the several that were chosen.
//
// Every way in (choose, drop, paste, camera, example) ends in `show` or `showMany`. What was asked before is given up
// there, so an old answer can never come to stand beside a new photo.

import { Refusal, classify, classifyAddress, example } from "./api.js";
import { answerOf } from "./asking.js";
import { hideBeside, showBeside, tellBeside } from "./beside.js";
import { drawCrop, rulesOf } from "./crop.js";
import { recallKey, storeKey } from "./key.js";
import { MOST_PHOTOS, askMany, concernsAll, hideMany } from "./many.js";
import { showPrograms } from "./programs.js";
import { inWords } from "./refusals.js";
import { besideTarget, chosenTarget, knownConfig, offerTargets } from "./targets.js";
import { sentence, showAnswer, showCaption, showRefusal, showShape, showWaiting, tellRemade } from "./view.js";
import { leaveCamera, listen, notice } from "./ways.js";

const element = (id) => document.getElementById(id);
const frame = element("frame");

let photo = null; // { file, url, isOnDisk }; once it was made anew, also { sent, sentUrl }
let answered = null; // { model, version, input, rules } of the last answer
let asking = new AbortController();
let repeat = null; // what was asked last

/** Give up what was asked before; a signal for what is asked now. */
function instead() {
  asking.abort();
  asking = new AbortController();
  return asking.signal;
}

function say(text) {
  element("said").textContent = text;
}

// One photo

function show(file, { isOnDisk }) {
  leaveCamera();
  notice("");
  forget();
  photo = { file, isOnDisk, url: URL.createObjectURL(file) };
  drawCrop(null);
  delete element("main").dataset.view;
  frame.dataset.state = "photo";
  element("photo").src = photo.url;
  element("photo").alt = `The photo ${file.name}`;
  showCaption(file);
  ask();
}

/** Let go of the photo that was shown. */
function forget() {
  if (photo) URL.revokeObjectURL(photo.url);
  if (photo?.sent) URL.revokeObjectURL(photo.sentUrl);
  photo = null;
}

async function ask() {
  const signal = instead();
  repeat = ask;
  frame.dataset.busy = "true";
  showWaiting("busy");
  hideBeside();
  tellPrograms();
  say(`Classifying ${photo.file.name}`);
  const options = { target: chosenTarget(), key: recallKey(), signal };
  try {
    const result = await answerOf(photo.file, options);
    if (signal.aborted) return;
    showAnswer(result);
    if (result.remade) remember(result.remade);
    say(sentence(result.answer));
    await Promise.all([askBeside(result, options), learn(result.answer, signal)]);
  } catch (error) {
    if (!signal.aborted) refused(error);
  } finally {
    if (!signal.aborted) delete frame.dataset.busy;
  }
}

/** Tell that the photo was made anew; the code on the page is for what was made. */
function remember(remade) {
  if (!photo.sent) Object.assign(photo, { sent: remade.file, sentUrl: URL.createObjectURL(remade.file) });
  tellRemade(photo.file, remade);
}

/** Ask the second target for the same photo, if one is chosen. */
async function askBeside({ answer, remade }, options) {
  const target = besideTarget();
  if (target === null) return;
  tellBeside("Asking the other one…");
  try {
    const other = await classify(remade?.file ?? photo.file, { ...options, target });
    if (!options.signal.aborted) showBeside([answer, other.answer]);
  } catch (error) {
    if (options.signal.aborted) return;
    if (!(error instanceof Refusal)) throw error;
    tellBeside(`The other one gives no answer: ${inWords(error).said}`);
  }
}

/** Learn of the model that has answered what it sees of a photo, and which others there are. */
async function learn({ model, version }, signal) {
  offerTargets({ model, version });
  const config = await knownConfig({ model, version });
  if (signal.aborted) return;
  answered = { model, version, input: config?.input?.[0]?.name ?? "image", rules: config ? rulesOf(config) : null };
  drawCrop(answered.rules);
  tellPrograms();
}

function refused(error) {
  delete frame.dataset.busy;
  say("");
  drawCrop(null);
  if (!(error instanceof Refusal)) {
    showRefusal({ message: `This page cannot make sense of the answer: ${error.message}`, code: "unexplained" });
    throw error;
  }
  showRefusal(error);
  if (error.status === 401) {
    storeKey("");
    tellPrograms();
    element("key").focus();
  }
  if (error.code === "unknown_model") offerTargets(null);
}

function tellPrograms() {
  const { name, type } = photo?.sent ?? photo?.file ?? { name: "photo.jpg", type: "image/jpeg" };
  const url = photo?.sent ? photo.sentUrl : photo?.url;
  const chosen = chosenTarget();
  showPrograms({
    photo: { name, type },
    url: classifyAddress(chosen),
    target: chosen.model ? chosen : { model: answered?.model ?? "", version: "" },
    input: answered?.input,
    withKey: Boolean(recallKey()) || !element("key-form").hidden,
    saved: photo && (photo.sent || !photo.isOnDisk) ? { name, url } : null,
  });
}

// Several photos

async function showMany(files) {
  leaveCamera();
  notice(files.length > MOST_PHOTOS ? `Of ${files.length} photos the first ${MOST_PHOTOS} are asked about.` : "");
  const signal = instead();
  const some = files.slice(0, MOST_PHOTOS);
  forget();
  drawCrop(null);
  delete frame.dataset.busy;
  frame.dataset.state = "empty";
  element("main").dataset.view = "many";
  showWaiting("empty");
  hideBeside();
  tellPrograms();
  repeat = () => showMany(files);
  say(`Classifying ${some.length} photos`);
  const whenChosen = (file) => {
    if (!element("stop").hidden) return; // to look at one would give up the others
    show(file, { isOnDisk: true });
    element("answer-heading").focus();
    frame.scrollIntoView({ block: "nearest" });
  };
  try {
    await askMany(some, { whenChosen, target: chosenTarget(), key: recallKey(), signal });
  } catch (error) {
    if (concernsAll(error)) refused(error);
    else if (!signal.aborted) throw error;
  }
  if (!signal.aborted) say(element("many-told").textContent);
}

element("stop").addEventListener("click", () => {
  instead();
  say("Stopped");
  element("leave").focus();
});
element("leave").addEventListener("click", () => {
  instead();
  hideMany();
  delete element("main").dataset.view;
  element("choose").focus();
});

// Ways in

listen({
  one: show,
  many: showMany,
  example: async (name) => {
    const signal = instead();
    try {
      const file = await example(name, { signal });
      if (!signal.aborted) show(file, { isOnDisk: false });
    } catch (error) {
      if (signal.aborted) return;
      refused(error);
    }
  },
});

// The answer

element("photo").addEventListener("load", ({ target }) => {
  showCaption(photo.file, target);
  showShape({ width: target.naturalWidth, height: target.naturalHeight });
  if (element("answer").dataset.state === "answer") drawCrop(answered?.rules ?? null);
});
element("photo").addEventListener("error", () => {
  frame.dataset.state = "blind";
  element("blind").textContent = `This browser cannot show ${photo.file.name}.`;
});
element("again").addEventListener("click", () => {
  element("answer-heading").focus(); // the button is about to go
  repeat?.();
});
element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  storeKey(element("key").value.trim());
  element("key").value = "";
  element("answer-heading").focus();
  repeat?.();
});
element("model").addEventListener("change", () => {
  tellPrograms();
  repeat?.();
});
element("against").addEventListener("change", () => {
  if (repeat === ask) ask();
});

showWaiting("empty");
tellPrograms();
