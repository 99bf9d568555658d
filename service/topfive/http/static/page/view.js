// What is shown of an answer and of a photo. Labels and names are text, never markup.

import { bar, made, percent, setWidth } from "./elements.js";
import { hideWords, showWords } from "./refusals.js";

const HEADINGS = { empty: "Five labels", busy: "Classifying…", answer: "", refused: "No answer" };
const NUMBERS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
const STAGES = ["decode", "resize", "queue", "inference"];
const DOUBTFUL = 0.2; // of probability, for the first label
const element = (id) => document.getElementById(id);

/** How many labels an answer has, as its heading says it; of a model that puts out all above a threshold perhaps none. */
function headingOf({ predictions: { length } }) {
  return `${NUMBERS[length] ?? length} ${length === 1 ? "label" : "labels"}`;
}

/** Whether not even the first label of an answer is to be relied on. */
function isDoubtful({ predictions: [first] }) {
  return first !== undefined && first.probability < DOUBTFUL;
}

/** An answer in a sentence. */
export function sentence(answer) {
  if (!answer.predictions.length) return element("none").textContent;
  const said = answer.predictions.map(({ label, probability }) => `${label} ${percent(probability)}`).join(", ");
  return isDoubtful(answer) ? `The model is not sure: ${said}` : said;
}

function milliseconds(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function bytes(count) {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${Math.round(count / 1000)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** A photo in its frame, which takes its shape, unless that is very wide or tall. */
export function showShape({ width, height }) {
  element("frame").style.aspectRatio = Math.min(Math.max(width / height, 1), 2);
}

/** What is known of a file; of one that is shown also its size in pixels. */
export function showCaption(file, image) {
  const pixels = image ? [`${image.naturalWidth} × ${image.naturalHeight}`] : [];
  element("caption").textContent = [file.name, ...pixels, bytes(file.size)].join("  ·  ");
}

/** Five bars without labels: where the answer will be. */
export function showWaiting(state) {
  element("answer").dataset.state = state;
  element("answer-heading").textContent = HEADINGS[state];
  element("answer").setAttribute("aria-busy", String(state === "busy"));
  element("bars").replaceChildren(...[72, 46, 33, 24, 16].map((width) => bar("", "", width)));
  element("bars").setAttribute("aria-hidden", "true");
  for (const id of ["key-form", "again", "none", "doubt", "remade", "timing", "facts"]) element(id).hidden = true;
  hideWords();
}

/** The labels and where the time went. */
export function showAnswer({ answer, timing, requestId, seenMilliseconds }) {
  showWaiting("answer");
  element("answer-heading").textContent = headingOf(answer);
  element("none").hidden = answer.predictions.length > 0;
  element("doubt").hidden = !isDoubtful(answer);
  const bars = element("bars");
  bars.replaceChildren(...answer.predictions.map(({ label, probability }) => bar(label, percent(probability), 0)));
  bars.removeAttribute("aria-hidden");
  void bars.offsetWidth; // the bars grow from nothing to what is set next
  answer.predictions.forEach(({ probability }, rank) => setWidth(bars.children[rank].lastChild.firstChild, probability * 100));
  showTiming(timing, seenMilliseconds);
  showFacts([["Model", answer.model], ["Version", answer.version], ["Request", requestId]]);
}

function showTiming(timing, seenMilliseconds) {
  const total = timing.get("total");
  element("timing").hidden = !total;
  if (!total) return;
  const stages = STAGES.map((name) => [name, timing.get(name) ?? 0]);
  const rest = total - stages.reduce((sum, [, value]) => sum + value, 0);
  stages.push(["other", Math.max(0, rest)]);
  element("total").replaceChildren(made("strong", "", milliseconds(total)), ` in the service, ${milliseconds(seenMilliseconds)} seen from here`);
  element("split").replaceChildren(
    ...stages.map(([name, value]) => {
      const part = made("span", name);
      setWidth(part, (value / total) * 100);
      return part;
    }),
  );
  element("legend").replaceChildren(
    ...stages.map(([name, value]) => made("div", name, made("dt", "", name), made("dd", "", milliseconds(value)))),
  );
}

function showFacts(facts) {
  element("facts").replaceChildren(
    ...facts.filter(([, value]) => value).map(([name, value]) => made("div", "", made("dt", "", name), made("dd", "", value))),
  );
  element("facts").hidden = false;
}

/** Tell of a photo that it was made anew for the service, at this size. */
export function tellRemade(file, { width, height }) {
  element("remade").hidden = false;
  element("remade").textContent =
    `The service does not take ${file.name} as it is. This page has made a JPEG of it, ${width} × ${height}, and asked with that.`;
}

/** What is wrong, and what to do next. */
export function showRefusal(error) {
  showWaiting("refused");
  showWords(error);
  const { status, code } = error;
  element("key-form").hidden = status !== 401;
  element("again").hidden = code === "unreadable" || !(status === 0 || status === 408 || status === 429 || status >= 500);
}
