// What is shown of an answer, a refusal and a photo. Labels, names and messages are text, never markup.

const HEADINGS = { empty: "Five labels", busy: "Classifying…", answer: "", refused: "No answer" };
const NUMBERS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
const STAGES = ["decode", "resize", "queue", "inference"];
const element = (id) => document.getElementById(id);

/** An element with its class, and children or text. */
function made(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** 0.953 as "95.3 %". */
export function percent(probability) {
  const hundredths = probability * 100;
  return hundredths > 0 && hundredths < 0.05 ? "< 0.1 %" : `${hundredths.toFixed(1)} %`;
}

/** How many labels an answer has, as its heading says it; of a model that puts out all above a threshold perhaps none. */
function headingOf({ predictions: { length } }) {
  return `${NUMBERS[length] ?? length} ${length === 1 ? "label" : "labels"}`;
}

/** An answer in a sentence. */
export function sentence({ predictions }) {
  if (!predictions.length) return element("none").textContent;
  return predictions.map(({ label, probability }) => `${label} ${percent(probability)}`).join(", ");
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

/** The curl command, and what it needs beside itself: a key, or a file of what is on no disk yet. */
export function showCommand(command, { withKey, photo }) {
  element("curl").textContent = command;
  element("copy").textContent = "Copy";
  element("key-note").hidden = !withKey;
  element("save-note").hidden = !photo || photo.isOnDisk;
  if (element("save-note").hidden) return;
  const save = element("save");
  save.href = photo.url;
  save.download = photo.file.name;
  save.textContent = `Save ${photo.file.name}`;
}

/** A choice among `names`, of which `current` is the present one; null for none. */
export function showModels(names, current) {
  const options = names.map((name) => new Option(name, name, name === current, name === current));
  element("model").replaceChildren(...(current === null ? [new Option("choose one", "", true, true)] : []), ...options);
  element("models").hidden = false;
}

/** Five bars without labels: where the answer will be. */
export function showWaiting(state) {
  element("answer").dataset.state = state;
  element("answer-heading").textContent = HEADINGS[state];
  element("answer").setAttribute("aria-busy", String(state === "busy"));
  element("bars").replaceChildren(...[72, 46, 33, 24, 16].map((width) => bar("", "", width)));
  element("bars").setAttribute("aria-hidden", "true");
  for (const id of ["refusal", "key-form", "again", "none", "timing", "facts"]) element(id).hidden = true;
  element("refusal").replaceChildren();
}

/** The labels and where the time went. */
export function showAnswer({ answer, timing, requestId, seenMilliseconds }) {
  showWaiting("answer");
  element("answer-heading").textContent = headingOf(answer);
  element("none").hidden = answer.predictions.length > 0;
  const bars = element("bars");
  bars.replaceChildren(...answer.predictions.map(({ label, probability }) => bar(label, percent(probability), 0)));
  bars.removeAttribute("aria-hidden");
  void bars.offsetWidth; // the bars grow from nothing to what is set next
  answer.predictions.forEach(({ probability }, rank) => setWidth(bars.children[rank].lastChild.firstChild, probability * 100));
  showTiming(timing, seenMilliseconds);
  showFacts([["Model", answer.model], ["Version", answer.version], ["Request", requestId]]);
}

function bar(label, value, width) {
  const fill = made("span", "fill");
  setWidth(fill, width);
  const track = made("span", "track", fill);
  track.setAttribute("aria-hidden", "true");
  return made("li", "", made("span", "label", label), " ", made("span", "value", value), track);
}

function setWidth(node, hundredths) {
  node.style.width = `${hundredths}%`;
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

/** What is wrong, as it was said, and what to do next. */
export function showRefusal({ message, status, code, retryAfterSeconds }) {
  showWaiting("refused");
  const parts = [made("p", "message", message)];
  if (retryAfterSeconds !== null && retryAfterSeconds !== undefined) {
    const seconds = retryAfterSeconds === 1 ? "1 second" : `${retryAfterSeconds} seconds`;
    parts.push(made("p", "", `Come again in ${seconds}.`));
  }
  if (code) parts.push(made("p", "code", status ? `${status} ` : "", made("code", "", code)));
  element("refusal").hidden = false;
  element("refusal").append(...parts);
  element("key-form").hidden = status !== 401;
  element("again").hidden = !(status === 0 || status === 429 || status >= 500);
}
