// One photo to its answer, the way a person would go on: a file that is refused and that this browser can show is made
// anew and asked with again; where the service has too much to do, it is asked again when it says so.

import { Refusal, classify } from "./api.js";
import { asJpeg } from "./canvas.js";
import { mayBeRemade } from "./refusals.js";

const MOST_WAITS = 5;

/** The answer as `classify` gives it; with `remade`, { file, width, height }, if that was asked with instead of `file`. */
export async function answerOf(file, options) {
  try {
    return await classify(file, options);
  } catch (error) {
    if (!(error instanceof Refusal) || !mayBeRemade(error)) throw error;
    const remade = await asJpeg(file);
    options.signal.throwIfAborted();
    if (remade === null) throw error;
    return { ...(await classify(remade.file, options)), remade };
  }
}

/** The same, and patiently: for one of many photos, whose turn may come later. */
export async function answerInTurn(file, options) {
  for (let waits = 0; ; waits += 1) {
    try {
      return await answerOf(file, options);
    } catch (error) {
      const isBusy = error instanceof Refusal && [429, 503].includes(error.status) && error.retryAfterSeconds;
      if (!isBusy || waits === MOST_WAITS) throw error;
      await pause(error.retryAfterSeconds, options.signal);
    }
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal.addEventListener("abort", stop, { once: true });
  });
}
