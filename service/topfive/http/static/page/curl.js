// The curl command that asks what the page asks.
//
// Double quotes mean the same to every shell, Windows' included, as long as nothing in them is special to any; what is,
// a POSIX shell takes in single quotes.

const PLAIN = /^[\p{L}\p{N}@/:._+=?&;, -]*$/u;

/** The command for a file `name` of media type `type`, sent to `url`; with a key, which stays out of it. */
export function curlCommand({ name, type, url, withKey }) {
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
