// The tabs with the same question in code.

import { grpcPort } from "./api.js";
import { curlCommand, grpcProgram, javascriptProgram, pythonProgram } from "./code.js";

const element = (id) => document.getElementById(id);
const tabs = [...document.querySelectorAll('[role="tab"]')];
const WRITERS = { curl: curlCommand, python: pythonProgram, javascript: javascriptProgram };

let said = null; // what the code is of
let port; // that of gRPC, once it was asked for

/** Show the code for this question: { photo, url, target, input, withKey, saved }. */
export function showPrograms(question) {
  said = question;
  element("copy").textContent = "Copy";
  element("key-note").hidden = !question.withKey;
  const { saved } = question;
  element("save-note").hidden = saved === null;
  if (saved !== null) {
    element("save").href = saved.url;
    element("save").download = saved.name;
    element("save").textContent = `Save ${saved.name}`;
  }
  write();
}

function chosen() {
  return tabs.find((tab) => tab.getAttribute("aria-selected") === "true").dataset.language;
}

async function write() {
  const language = chosen();
  if (language !== "grpc") {
    element("code").textContent = WRITERS[language](said);
    return;
  }
  element("code").textContent = "";
  if (port === undefined) port = await grpcPort().catch(() => undefined);
  if (chosen() === "grpc") element("code").textContent = overGrpc();
}

function overGrpc() {
  if (port === undefined) return "# The service does not answer, so its port for gRPC is not known.";
  if (port === null) return "# This service does not serve gRPC. Its operator can turn it on with the setting `grpc`.";
  if (!said.target.model) return "# Show the page a photo first: the name of the model comes with the answer.";
  return grpcProgram({ ...said, grpc: { host: location.hostname, port, input: said.input } });
}

function choose(tab) {
  for (const each of tabs) {
    each.setAttribute("aria-selected", String(each === tab));
    each.tabIndex = each === tab ? 0 : -1;
  }
  element("program").setAttribute("aria-labelledby", tab.id);
  element("program").dataset.language = tab.dataset.language;
  element("copy").textContent = "Copy";
  write();
}

for (const [place, tab] of tabs.entries()) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = tabs[(place + step + tabs.length) % tabs.length];
    choose(next);
    next.focus();
  });
}

element("copy").addEventListener("click", async () => {
  const range = document.createRange();
  range.selectNodeContents(element("code"));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  // Without HTTPS there is no clipboard to write to; what is selected can be copied by hand.
  const copied = await navigator.clipboard?.writeText(element("code").textContent).then(() => true, () => false);
  element("copy").textContent = copied ? "Copied" : "Selected: press Ctrl+C";
  element("said").textContent = element("copy").textContent;
});
element("copy").addEventListener("blur", ({ target }) => (target.textContent = "Copy"));
