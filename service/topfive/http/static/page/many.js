// Several photos: a grid with a small picture, the first label and its bar for each, and all of it as a table.

import { Refusal } from "./api.js";
import { answerInTurn } from "./asking.js";
import { csvText, download } from "./csv.js";
import { made, percent, setWidth } from "./elements.js";
import { inWords } from "./refusals.js";

export const MOST_PHOTOS = 1000;
const AT_ONCE = 4;
const LABELS = 5;
const THUMBNAIL = { width: 240, height: 160 };
const HEAD = ["file", "result", ...Array.from({ length: LABELS }, (_, at) => [`label ${at + 1}`, `probability ${at + 1}`]).flat(), "model", "version", "problem"];
const element = (id) => document.getElementById(id);

let rows = []; // { file, cell, result, answer, problem }

/** Refusals that would meet every photo, so that the first ends them all. */
export function concernsAll(error) {
  return error instanceof Refusal && (error.status === 401 || ["unknown_model", "no_answer"].includes(error.code));
}

/** Ask for all `files`, a few at a time, and show what comes; `whenChosen` is called with a file whose cell is pressed.
 *
 * Throws the refusal that concerns all, or the reason of `signal`.
 */
export async function askMany(files, { whenChosen, ...options }) {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const mine = files.map((file) => ({ file, cell: cellOf(file, whenChosen), result: "waiting", answer: null, problem: "" }));
  rows = mine;
  element("grid").replaceChildren(...mine.map(({ cell }) => cell.item));
  element("many").hidden = false;
  element("stop").hidden = false;
  element("table").hidden = true;
  tellProgress();
  const waiting = mine.values();
  const work = async () => {
    for (const row of waiting) {
      await askOne(row, { ...options, signal });
      tellProgress();
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    stop.abort();
    for (const row of mine.filter(({ result }) => result === "waiting")) tell(row, "not asked", "not asked");
    if (rows === mine) {
      element("stop").hidden = true;
      element("table").hidden = false;
      tellProgress();
    }
  }
}

async function askOne(row, options) {
  options.signal.throwIfAborted();
  await drawThumbnail(row);
  try {
    const { answer, remade } = await answerInTurn(row.file, options);
    row.answer = answer;
    if (remade) await drawThumbnail({ file: remade.file, cell: row.cell });
    const [first] = answer.predictions;
    const problem = remade ? `asked with a JPEG that the page made of it, ${remade.width} × ${remade.height}` : "";
    tell(row, "answered", first ? first.label : "no label", problem);
    if (first) {
      row.cell.value.textContent = percent(first.probability);
      setWidth(row.cell.fill, first.probability * 100);
    }
  } catch (error) {
    if (options.signal.aborted || concernsAll(error) || !(error instanceof Refusal)) throw error;
    const { said } = inWords(error);
    tell(row, "refused", said, `${said} (${[error.status || "", error.code].join(" ").trim()}: ${error.message})`);
  }
}

function tell(row, result, text, problem = "") {
  row.result = result;
  row.problem = problem;
  row.cell.item.dataset.result = result;
  row.cell.label.textContent = text;
}

/** A small picture, so that a thousand large photos need not be kept as pixels. What cannot be drawn is left blank. */
async function drawThumbnail({ file, cell }) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { resizeWidth: THUMBNAIL.width, resizeQuality: "medium" });
  } catch {
    return; // whether it is a picture is the service's to say
  }
  const { width, height } = THUMBNAIL;
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const size = [bitmap.width * scale, bitmap.height * scale];
  cell.canvas.width = width;
  cell.canvas.height = height;
  cell.canvas.getContext("2d").drawImage(bitmap, (width - size[0]) / 2, (height - size[1]) / 2, ...size);
  bitmap.close();
}

function cellOf(file, whenChosen) {
  const canvas = made("canvas", "thumbnail");
  canvas.setAttribute("aria-hidden", "true");
  const label = made("span", "label", "waiting");
  const value = made("span", "value");
  const fill = made("span", "fill");
  const track = made("span", "track", fill);
  track.setAttribute("aria-hidden", "true");
  setWidth(fill, 0);
  const button = made("button", "cell", canvas, label, " ", value, track, " ", made("span", "name", file.name));
  button.type = "button";
  button.addEventListener("click", () => whenChosen(file));
  const item = made("li", "", button);
  item.dataset.result = "waiting";
  return { item, canvas, label, value, fill };
}

function tellProgress() {
  const count = (result) => rows.filter((row) => row.result === result).length;
  const [answered, refused, left] = ["answered", "refused", "not asked"].map(count);
  const parts = [`${answered + refused} of ${rows.length} photos`];
  if (refused) parts.push(`${refused} refused`);
  if (left) parts.push(`${left} not asked`);
  element("many-told").textContent = parts.join(", ");
  element("many-progress").max = rows.length;
  element("many-progress").value = answered + refused;
}

/** Leave the grid. */
export function hideMany() {
  element("many").hidden = true;
  element("grid").replaceChildren();
  rows = [];
}

element("table").addEventListener("click", () => {
  const lines = rows.map(({ file, result, answer, problem }) => {
    const labels = Array.from({ length: LABELS }, (_, at) => answer?.predictions[at]);
    const cells = labels.flatMap((each) => (each ? [each.label, each.probability] : ["", ""]));
    return [file.name, result, ...cells, answer?.model ?? "", answer?.version ?? "", problem];
  });
  download("topfive.csv", csvText([HEAD, ...lines]));
});
