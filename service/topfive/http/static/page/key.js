// The API key, for this tab and no longer.

const NAME = "topfive API key";
let kept = "";

/** The key that was given; empty for none. */
export function recallKey() {
  return storage()?.getItem(NAME) ?? kept;
}

/** Remember `key`, or with the empty string nothing. */
export function storeKey(key) {
  kept = key;
  storage()?.setItem(NAME, key);
}

/** The tab's storage; null where the browser is told to give none, and the key lives as long as the page. */
function storage() {
  try {
    return window.sessionStorage;
  } catch (error) {
    if (error.name === "SecurityError") return null;
    throw error;
  }
}
