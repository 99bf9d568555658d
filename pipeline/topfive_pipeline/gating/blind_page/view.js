// What is shown of a photo, its two answers and the result. Labels and names are text, never markup.

const element = (id) => document.getElementById(id);
const VERDICTS = { candidate: "candidate", live: "live", equal: "equally good", neither: "both wrong" };
const PARTS = ["question", "choices", "end", "result"];

/** An element with its class, and children or text. */
function made(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** 0.953 as "95.3 %". */
function percent(share) {
  const hundredths = share * 100;
  return hundredths > 0 && hundredths < 0.05 ? "< 0.1\u00a0%" : `${hundredths.toFixed(1)}\u00a0%`;
}

/** A label and its probability, which stays on one line. */
function unbroken(text) {
  return text.replace(/ %$/, "\u00a0%");
}

/** A p-value with two digits. */
function probability(value) {
  return value < 0.001 ? "< 0.001" : value.toPrecision(2);
}

/** A number with its thing: "1 photo", "2 photos". */
function counted(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

function only(...parts) {
  for (const part of PARTS) element(part).hidden = !parts.includes(part);
}

export function showAlert(text) {
  element("alert").textContent = text;
  element("alert").hidden = !text;
}

function showProgress({ done, photos, can_undo, judge }) {
  element("count").textContent = `${done} of ${photos}`;
  element("judge").textContent = ` judged by ${judge}`;
  element("done").style.width = `${(100 * done) / photos}%`;
  element("progress").setAttribute("aria-valuemax", photos);
  element("progress").setAttribute("aria-valuenow", done);
  element("undo-row").hidden = !can_undo;
}

/** The photo and both answers, once the photo is there; an Error if it cannot be shown. */
export async function showQuestion(state) {
  const { number, left, right } = state.question;
  const photo = new Image(); // shown once it is there, so that no photo stands beside the answers to another
  photo.id = "photo";
  photo.draggable = false;
  photo.src = `photo/${number}`;
  await photo.decode().catch((error) => {
    throw new Error("This photo cannot be shown. Load the page again; if that does not help, run the gate again.", { cause: error });
  });
  photo.alt = `Photo ${state.done + 1} of ${state.photos}`;
  element("photo").replaceWith(photo);
  showAnswer("left", left);
  showAnswer("right", right);
  showProgress(state);
  only("question", "choices");
  element("said").textContent = `${photo.alt}. A: ${sentence(left)}. B: ${sentence(right)}.`;
  document.body.dataset.state = `photo ${number}`;
}

function showAnswer(side, { predictions, refusal }) {
  const bars = predictions.map(({ label, probability }) => bar(label, probability));
  element(side).replaceChildren(...(bars.length ? bars : [made("li", "refusal", `No answer: ${refusal}`)]));
}

function sentence({ predictions, refusal }) {
  const [first] = predictions;
  return first ? `${first.label}, ${percent(first.probability)}` : `no answer, ${refusal}`;
}

function bar(label, value) {
  const fill = made("span", "fill");
  fill.style.width = `${value * 100}%`;
  const track = made("span", "track", fill);
  track.setAttribute("aria-hidden", "true");
  return made("li", "", made("span", "label", label), " ", made("span", "value", percent(value)), track);
}

export function showEnd(state) {
  showProgress(state);
  only("end");
  element("reveal").focus();
  element("said").textContent = "Every photo is judged.";
  document.body.dataset.state = "end";
}

/** Who won, by how much, and how sure that is; then every photo with whose answer was whose. */
export function showResult(state, result) {
  showProgress({ ...state, can_undo: false });
  const decided = result.won + result.lost;
  element("result-heading").textContent = headline(result, decided);
  element("lead").textContent = decided
    ? `A coin would be as far from half with a probability of ${probability(result.p_two_sided)} (sign test, either way).`
    : "Neither was better on any photo.";
  element("facts").replaceChildren(
    ...facts(result).map(([name, value]) => made("div", "", made("dt", "", name), made("dd", "", value))),
  );
  element("rows").replaceChildren(
    ...result.rows.map((row) => {
      const head = made("th", "", row.file);
      head.scope = "row";
      return made("tr", row.verdict, head, made("td", "", unbroken(row.candidate)), made("td", "", unbroken(row.live)), made("td", "", VERDICTS[row.verdict]));
    }),
  );
  only("result");
  element("result-heading").focus();
  document.body.dataset.state = "result";
}

function headline({ won, win_rate, win_rate_interval }, decided) {
  if (!decided) return "No photo decides";
  const [low, high] = win_rate_interval.map(percent);
  return `The candidate wins ${won} of ${counted(decided, "decided photo")}: ${percent(win_rate)} (95\u00a0%: ${low} to ${high})`;
}

function facts(result) {
  const { candidate = 0, live = 0, equal = 0, neither = 0 } = result.verdicts;
  const judges = Object.entries(result.judges).map(([judge, photos]) => `${judge} ${photos}`);
  return [
    ["Candidate better", candidate],
    ["Live better", live],
    ["Equally good", equal],
    ["Both wrong", neither],
    ["Left / right better", `${result.left_better} / ${result.right_better}`],
    ["Judged by", judges.join(", ")],
    ...(result.kappa === null ? [] : [["Agreement of judges, kappa", result.kappa.toFixed(2)]]),
  ];
}
