// The same question as the page's, in code that runs as it stands: curl, Python, JavaScript, gRPC.
//
// `photo` is { name, type }; `target` { model, version } may have empty parts; `withKey`: the key is read from the variable
// API_KEY, and never written into the code.

// Double quotes mean the same to every shell, Windows' included, as long as nothing in them is special to any; what is,
// a POSIX shell takes in single quotes.
const PLAIN = /^[\p{L}\p{N}@/:._+=?&;, -]*$/u;

/** A shell's command for a file, sent to `url`. */
export function curlCommand({ photo: { name, type }, url, withKey }) {
  const parts = [
    `curl --data-binary ${quoted(`@${name}`)}`,
    `-H ${quoted(type ? `Content-Type: ${type}` : "Content-Type:")}`,
    ...(withKey ? ['-H "Authorization: Bearer $API_KEY"'] : []),
    url.includes("?") || !PLAIN.test(url) ? quoted(url) : url,
  ];
  return parts.join(" ");
}

function quoted(text) {
  return PLAIN.test(text) ? `"${text}"` : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A program for Python 3, with nothing but what comes with it. */
export function pythonProgram({ photo: { name, type }, url, withKey }) {
  return `\
import json
${withKey ? "import os\n" : ""}import urllib.request

with open(${literal(name)}, "rb") as file:
    photo = file.read()
headers = {"Content-Type": ${literal(type || "application/octet-stream")}}
${withKey ? 'headers["Authorization"] = "Bearer " + os.environ["API_KEY"]\n' : ""}request = urllib.request.Request(${literal(url)}, photo, headers)
with urllib.request.urlopen(request) as answer:
    for each in json.load(answer)["predictions"]:
        print(f"{each['probability']:.3f} {each['label']}")
`;
}

/** A module for Node.js 18 or newer, with nothing but what comes with it. */
export function javascriptProgram({ photo: { name, type }, url, withKey }) {
  return `\
import { readFile } from "node:fs/promises";

const answer = await fetch(${literal(url)}, {
  method: "POST",
  headers: {
    "Content-Type": ${literal(type || "application/octet-stream")},${withKey ? "\n    Authorization: `Bearer ${process.env.API_KEY}`," : ""}
  },
  body: await readFile(${literal(name)}),
});
if (!answer.ok) throw new Error(await answer.text());
for (const { label, probability } of (await answer.json()).predictions) {
  console.log(probability.toFixed(3), label);
}
`;
}

/** A program for Python 3 over gRPC, with Triton's client; `grpc` is { host, port, input } with the input's name. */
export function grpcProgram({ photo: { name }, target: { model, version }, grpc, withKey }) {
  const chosen = version ? `, model_version=${literal(version)}` : "";
  const key = withKey ? ', headers={"authorization": "Bearer " + os.environ["API_KEY"]}' : "";
  return `\
# pip install "tritonclient[grpc]"
${withKey ? "import os\n\n" : ""}import numpy as np
import tritonclient.grpc

with open(${literal(name)}, "rb") as file:
    photo = np.array([file.read()], np.object_)
client = tritonclient.grpc.InferenceServerClient(${literal(`${grpc.host}:${grpc.port}`)})
tensor = tritonclient.grpc.InferInput(${literal(grpc.input)}, [1], "BYTES").set_data_from_numpy(photo)
answer = client.infer(${literal(model)}, [tensor]${chosen}${key})
for label, probability in zip(answer.as_numpy("classes")[0], answer.as_numpy("probabilities")[0]):
    print(f"{probability:.3f} {label.decode()}")
`;
}

/** A text as both Python and JavaScript write it. */
function literal(text) {
  return JSON.stringify(text);
}
