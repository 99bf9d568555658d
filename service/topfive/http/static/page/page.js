// What a person can do on this page, and the one thing it remembers: the photo that is shown.
//
// Every way in (choose, drop, paste, camera, sample) ends in `show`. What was asked before is given up there, so an old
// answer can never come to stand beside a new photo.

import { Refusal, choosableModels, classify, classifyAddress, sample } from "./api.js";
import { Camera, hasCamera, whyNoCamera } from "./camera.js";
import { curlCommand } from "./curl.js";
import { recallKey, storeKey } from "./key.js";
import { sentence, showAnswer, showCaption, showCommand, showModels, showRefusal, showShape, showWaiting } from "./view.js";

const element = (id) => document.getElementById(id);
const frame = element("frame");
const camera = new Camera(element("preview"));

let photo = null; // { file, url, isOnDisk }
let asking = new AbortController();
let modelsKnown = false;
let retry = ask; // what failed

// From a photo to its answer

/** Give up what was asked before; a signal for what is asked now. */
function instead() {
  asking.abort();
  asking = new AbortController();
  return asking.signal;
}

function show(file, { isOnDisk }) {
  leaveCamera();
  if (photo) URL.revokeObjectURL(photo.url);
  photo = { file, isOnDisk, url: URL.createObjectURL(file) };
  frame.dataset.state = "photo";
  element("photo").src = photo.url;
  element("photo").alt = `The photo ${file.name}`;
  showCaption(file);
  ask();
}

async function ask() {
  const signal = instead();
  frame.dataset.busy = "true";
  showWaiting("busy");
  tellCommand();
  say(`Classifying ${photo.file.name}`);
  try {
    const result = await classify(photo.file, { model: element("model").value, key: recallKey(), signal });
    if (signal.aborted) return;
    showAnswer(result);
    say(sentence(result.answer));
    if (!modelsKnown) offerModels(result.answer.model);
  } catch (error) {
    if (!signal.aborted) refused(error, { again: ask });
  } finally {
    if (!signal.aborted) delete frame.dataset.busy;
  }
}

function refused(error, { again }) {
  retry = again;
  delete frame.dataset.busy;
  say("");
  if (!(error instanceof Refusal)) {
    showRefusal({ message: `This page cannot make sense of the answer: ${error.message}` });
    throw error;
  }
  showRefusal(error);
  if (error.status === 401) {
    storeKey("");
    tellCommand();
    element("key").focus();
  }
  if (error.code === "unknown_model") offerModels(null);
}

/** Tell what this page itself could not do. */
function complain(message) {
  instead();
  delete frame.dataset.busy;
  say("");
  showRefusal({ message });
}

function say(text) {
  element("said").textContent = text;
}

function tellCommand() {
  const { name, type } = photo?.file ?? { name: "photo.jpg", type: "image/jpeg" };
  const withKey = Boolean(recallKey()) || !element("key-form").hidden;
  showCommand(curlCommand({ name, type, url: classifyAddress(element("model").value), withKey }), { withKey, photo });
}

/** Let the person choose where there is a choice; `current` has answered just now, null if a choice is needed. */
async function offerModels(current) {
  try {
    const names = await choosableModels({ key: recallKey(), known: current });
    modelsKnown = true;
    if (names.length > 1 || current === null) showModels(names, current);
    if (current === null) element("model").focus(); // it is what must be done next
  } catch (error) {
    // Its answer, or why there is none, stands there already; the next answer asks again.
    if (!(error instanceof Refusal)) throw error;
  }
}

// Ways in

element("choose").addEventListener("click", () => element("file").click());
frame.addEventListener("click", () => {
  if (frame.dataset.state === "empty") element("file").click();
});
element("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so that the same file can be chosen again
  if (file) show(file, { isOnDisk: true });
});

const isForField = (event) => event.target instanceof HTMLInputElement;
window.addEventListener("dragover", (event) => {
  if (isForField(event)) return;
  event.preventDefault();
  frame.dataset.drop = "true";
});
window.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) delete frame.dataset.drop;
});
window.addEventListener("drop", (event) => {
  if (isForField(event)) return;
  event.preventDefault();
  delete frame.dataset.drop;
  const [file] = event.dataTransfer.files;
  if (file) show(file, { isOnDisk: true });
  else complain("That is not a file. Save the picture first, then drop the file here.");
});

window.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) show(file, { isOnDisk: false });
});

element("sample").addEventListener("click", showSample);
async function showSample() {
  const signal = instead();
  try {
    const file = await sample({ signal });
    if (!signal.aborted) show(file, { isOnDisk: false });
  } catch (error) {
    if (!signal.aborted) refused(error, { again: showSample });
  }
}

// The camera

element("camera").hidden = !hasCamera;
element("camera").addEventListener("click", async () => {
  try {
    if (!(await camera.open())) return;
  } catch (error) {
    complain(whyNoCamera(error));
    return;
  }
  showShape({ width: element("preview").videoWidth, height: element("preview").videoHeight });
  frame.dataset.before = frame.dataset.state;
  frame.dataset.state = "camera";
  element("sources").hidden = true;
  element("shutter").hidden = false;
  element("capture").focus();
});
element("capture").addEventListener("click", async () => {
  show(await camera.capture(), { isOnDisk: false });
  element("camera").focus();
});
element("cancel").addEventListener("click", () => {
  leaveCamera();
  element("camera").focus();
});
window.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && frame.dataset.state === "camera") element("cancel").click();
});
window.addEventListener("pagehide", leaveCamera);

function leaveCamera() {
  camera.close();
  if (frame.dataset.state === "camera") frame.dataset.state = frame.dataset.before;
  element("sources").hidden = false;
  element("shutter").hidden = true;
}

// The answer

element("photo").addEventListener("load", ({ target }) => {
  showCaption(photo.file, target);
  showShape({ width: target.naturalWidth, height: target.naturalHeight });
});
element("photo").addEventListener("error", () => {
  frame.dataset.state = "blind";
  element("blind").textContent = `This browser cannot show ${photo.file.name}.`;
});
element("again").addEventListener("click", () => {
  element("answer-heading").focus(); // the button is about to go
  retry();
});
element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  storeKey(element("key").value.trim());
  element("key").value = "";
  element("answer-heading").focus();
  ask();
});
element("model").addEventListener("change", () => {
  tellCommand();
  if (photo) ask();
});
element("copy").addEventListener("click", async () => {
  const text = element("curl").textContent;
  const range = document.createRange();
  range.selectNodeContents(element("curl"));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  // Without HTTPS there is no clipboard to write to; what is selected can be copied by hand.
  const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  element("copy").textContent = copied ? "Copied" : "Selected: press Ctrl+C";
  say(element("copy").textContent);
});
element("copy").addEventListener("blur", ({ target }) => (target.textContent = "Copy"));

showWaiting("empty");
tellCommand();
