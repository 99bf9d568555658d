// The service, as this page asks it: requests, and what can come back.
//
// What lives here: HTTP. What does not: what is shown of it (view.js), when it is asked (page.js).

/** The address of `path` of the service that this page came from, also behind a proxy that gives it a prefix. */
export function address(path, query = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  return url.href;
}

/** Where to ask; a `target` is a model, in a version, and empty parts leave the choice to the service. */
export function classifyAddress({ model, version }) {
  return address("v1/classify", { model, version });
}

/** An answer that is no success, in the API's own words; or that none came, with status 0. */
export class Refusal extends Error {
  constructor(message, { status, code, retryAfterSeconds = null, requestId = null }) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
    this.requestId = requestId;
  }
}

/** The API's answer for a photo (a File), where the time went, and how long it took as seen from here. */
export async function classify(photo, { target, key, signal }) {
  await checkReadable(photo);
  const started = performance.now();
  // A type that the browser does not know is left empty: the API says which ones it takes.
  const response = await ask(classifyAddress(target), { method: "POST", body: photo, key, signal });
  const answer = await response.json();
  return {
    answer,
    timing: serverTiming(response.headers.get("Server-Timing") ?? ""),
    requestId: response.headers.get("X-Request-Id"),
    seenMilliseconds: performance.now() - started,
  };
}

/** A photo that comes with the page, as a File. */
export async function example(name, { signal }) {
  const response = await ask(address(`static/page/${name}`), { signal });
  const blob = await response.blob();
  return new File([blob], name, { type: blob.type });
}

/** The port on which the service takes gRPC; null if it does not. */
export async function grpcPort() {
  const response = await ask(address("static/page/service.json"), {});
  return (await response.json()).grpc_port;
}

/** The configuration of a model in a version. */
export async function configOf({ model, version }, { key }) {
  const path = `v2/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}/config`;
  return (await ask(address(path), { key })).json();
}

/** To `fetch`, a file that cannot be read and a service that cannot be reached are the same error. */
async function checkReadable(photo) {
  try {
    await photo.slice(0, 1).arrayBuffer();
  } catch (error) {
    throw new Refusal(`${photo.name} cannot be read: ${error.name}`, { status: 0, code: "unreadable" });
  }
}

/** The targets that a photo can be sent to: models that run, in each version, less those that only are steps of others. */
export async function choosableTargets({ key, known }) {
  const response = await ask(address("v2/repository/index"), { method: "POST", body: '{"ready": true}', key });
  const index = await response.json();
  const left = new Set(index.map((entry) => entry.name));
  const choosable = new Set();
  // The one that is known first: where it is an ensemble, its steps need not be asked.
  for (const name of [...(left.has(known) ? [known] : []), ...left]) {
    if (!left.delete(name)) continue;
    const steps = await stepsOf(name, key);
    if (steps === null) continue;
    choosable.add(name);
    for (const step of steps) {
      left.delete(step);
      choosable.delete(step);
    }
  }
  return index
    .filter(({ name }) => choosable.has(name))
    .map(({ name, version }) => ({ model: name, version }))
    .sort((one, other) => (one.model < other.model ? -1 : one.model > other.model ? 1 : Number(one.version) - Number(other.version)));
}

/** The steps of the model `name`; null for one that cannot be asked by itself. */
async function stepsOf(name, key) {
  try {
    const response = await ask(address(`v2/models/${encodeURIComponent(name)}/config`), { key });
    return ((await response.json()).ensemble_scheduling?.step ?? []).map((step) => step.model_name);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

async function ask(url, { key, ...options }) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let response;
  try {
    response = await fetch(url, { ...options, headers, redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(`Nothing answers at ${new URL(url).origin}.`, { status: 0, code: "no_answer" });
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const text = await response.text();
  const { error, code } = parsed(text);
  const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const unexplained = `The answer was ${response.status} ${response.statusText}, and does not say why.`;
  return new Refusal(error ?? unexplained, {
    status: response.status,
    code: code ?? "unexplained",
    retryAfterSeconds: Number.isNaN(retryAfter) ? null : retryAfter,
    requestId: response.headers.get("X-Request-Id"),
  });
}

/** What the API says is wrong; empty where something else, as a proxy, has answered. */
function parsed(text) {
  try {
    const { error, code } = JSON.parse(text);
    return typeof error === "string" && typeof code === "string" ? { error, code } : {};
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return {};
    throw error;
  }
}

/** Milliseconds by name, from `cache;desc=miss;dur=0.1, decode;dur=1.5, total;dur=4`. */
function serverTiming(header) {
  const entries = [...header.matchAll(/(\w+)(?:;desc=(?:\w+|"[^"]*"))?;dur=([\d.]+)/g)];
  return new Map(entries.map(([, name, milliseconds]) => [name, Number(milliseconds)]));
}
