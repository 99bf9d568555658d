// What went wrong, in a person's words and with what to do; what the service said is folded below it.

import { made } from "./elements.js";

const element = (id) => document.getElementById(id);
const CUT = /cut short|ends before|not all there|are missing|send the whole file|ends early/;
const OTHER_KIND = /of a kind that is not decoded/;

/** Whether a file may be good all the same, so that this page can make another of it: not if a part is missing. */
export function mayBeRemade({ code, message }) {
  if (!["unsupported_media_type", "undecodable_image", "too_large"].includes(code)) return false;
  return !CUT.test(message) || OTHER_KIND.test(message);
}

const AGAIN = "Try again in a moment.";
const SAVE = "Save it as a JPEG or PNG, and choose that.";

const WORDS = {
  unauthenticated: () => ["This service asks for a key.", "Enter the API key that its operator gave you."],
  unknown_model: ({ message }) =>
    message.startsWith("several models")
      ? ["Several models are served here.", "Choose one at the top of this page."]
      : ["That model is not served any more.", "Choose another at the top of this page."],
  too_large: ({ message }) => {
    if (message.includes("takes longer")) return ["This picture takes too long to open.", "Save it smaller, or as a usual JPEG."];
    if (message.includes("pixels")) return ["This picture has too many pixels.", "Save it smaller, and choose that."];
    return ["This file is too large.", "Save it smaller, and choose that."];
  },
  unsupported_media_type: () => ["This kind of file is not taken.", SAVE],
  undecodable_image: ({ message }) => {
    if (CUT.test(message) && !OTHER_KIND.test(message)) {
      return ["This file is cut off: a part of the picture is missing.", "Copy or download it again, and choose it once more."];
    }
    if (/damaged|begins like/.test(message)) return ["This file is damaged, or of a rare kind.", SAVE];
    return ["This file is not a picture.", "Choose a photo: a JPEG or PNG, for example."];
  },
  queue_full: () => ["The service has too much to do just now.", "Your photo is fine. Try it again when the time below is over."],
  rate_limited: () => ["You have sent more than your key lets in at once.", "Your photo is fine. Try it again when the time below is over."],
  quota_exceeded: () => ["Your key has used up its images for now.", "Ask who runs the service for more, or come again when the time below is over."],
  not_ready: () => ["The service is not ready yet.", "It is starting, or about to stop. Try again when the time below is over."],
  deadline_exceeded: () => ["The answer would have come too late.", "The service is busy, or the picture is slow to open. Try again."],
  internal: () => ["The service has made a mistake.", "Try again. If it stays so, show its operator what is folded below."],
  malformed_request: ({ message }) =>
    message.includes("takes images of")
      ? ["This model takes pictures of one size only.", "Choose another model at the top of this page, or a picture of the size that is folded below."]
      : ["The service does not understand what this page asks.", "Reload the page: the two may not be of one version."],
  unsupported: () => ["The service does not offer what this page asks.", "Reload the page: the two may not be of one version."],
  unreadable: () => ["This file cannot be read.", "Is it a folder, or was it moved? Choose it again."],
  no_answer: () => ["The service does not answer.", "Is it running, and is this device on its network?"],
};

const BY_STATUS = {
  408: ["The photo was too long on its way.", "Try again, perhaps with a better connection."],
  413: ["This file is too large.", "Save it smaller, and choose that."],
  429: ["There are too many questions just now.", AGAIN],
  502: ["The service cannot be reached.", AGAIN],
  503: ["The service cannot be reached.", AGAIN],
  504: ["The service has not answered in time.", AGAIN],
};

/** { said, todo } for a refusal, in a person's words. */
export function inWords(error) {
  const found = WORDS[error.code]?.(error) ?? BY_STATUS[error.status];
  const [said, todo] = found ?? ["The service has refused this.", "What it said is folded below."];
  return { said, todo };
}

let ticking = null;

/** Show in the answer's place what is wrong, what to do, and what the service said. */
export function showWords(error) {
  const { said, todo } = inWords(error);
  element("refusal").hidden = false;
  element("refusal").replaceChildren(made("p", "message", said), made("p", "", todo));
  const code = [error.status || "", error.code].join(" ").trim();
  element("technical").hidden = false;
  element("technical").open = false;
  element("said-by-service").replaceChildren(
    made("p", "code", made("code", "", code)),
    made("p", "", error.message),
    ...(error.requestId ? [made("p", "", "Request ", made("code", "", error.requestId))] : []),
  );
  countDown(error.retryAfterSeconds);
}

/** No longer show it. */
export function hideWords() {
  countDown(null);
  element("refusal").hidden = element("technical").hidden = true;
  element("refusal").replaceChildren();
}

function countDown(seconds) {
  clearInterval(ticking);
  const timer = element("countdown");
  timer.hidden = !seconds;
  if (!seconds) return;
  const end = performance.now() + seconds * 1000;
  const tell = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    timer.textContent = left > 0 ? `Try again in ${left} ${left === 1 ? "second" : "seconds"}.` : "You can try again now.";
    if (left <= 0) clearInterval(ticking);
  };
  tell();
  ticking = setInterval(tell, 250);
}
