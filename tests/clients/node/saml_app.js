// node-saml behind the standard library's server: the same small application as tests/clients/saml_app.py.
//
//     node saml_app.js --idp idp.xml --key sp.key --certificate sp.crt --port 5003
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const crypto = require("node:crypto");
const { SAML, ValidateInResponseTo } = require("@node-saml/node-saml");

const options = {};
for (let i = 2; i < process.argv.length; i += 2) options[process.argv[i].slice(2)] = process.argv[i + 1];
const origin = `http://127.0.0.1:${options.port}`;
const cookieName = `app_${options.port}`;
const privateKey = fs.readFileSync(options.key, "utf8");
const publicCert = fs.readFileSync(options.certificate, "utf8");
const metadata = fs.readFileSync(options.idp, "utf8");

// What an administrator copies out of the identity provider's metadata.
const certificates = [...metadata.matchAll(/<ds:X509Certificate>([^<]+)</g)].map((match) => match[1]);
const location = (service) =>
  metadata.match(new RegExp(`<md:${service}[^>]*HTTP-Redirect"[^>]*Location="([^"]+)"`))[1];

const VARIANTS = {
  plain: {},
  signed: { privateKey, publicCert, wantAuthnResponseSigned: true },
  encrypted: { privateKey, publicCert, decryptionPvk: privateKey },
};

function provider(variant, binding) {
  return new SAML({
    issuer: `${origin}/${variant}/metadata`,
    callbackUrl: `${origin}/${variant}/acs`,
    logoutCallbackUrl: `${origin}/${variant}/slo`,
    entryPoint: location("SingleSignOnService"),
    logoutUrl: location("SingleLogoutService"),
    idpCert: certificates,
    idpIssuer: metadata.match(/entityID="([^"]+)"/)[1],
    audience: `${origin}/${variant}/metadata`,
    signatureAlgorithm: "sha256",
    digestAlgorithm: "sha256",
    wantAssertionsSigned: true,
    wantAuthnResponseSigned: false,
    validateInResponseTo: ValidateInResponseTo.ifPresent,
    cacheProvider: caches[variant],
    authnRequestBinding: binding === "post" ? "HTTP-POST" : "HTTP-Redirect",
    identifierFormat: null,
    disableRequestedAuthnContext: variant !== "plain", // its default: PasswordProtectedTransport, exactly
    ...VARIANTS[variant],
  });
}

class Cache {
  constructor() { this.items = new Map(); }
  async saveAsync(key, value) { this.items.set(key, value); return { value, createdAt: Date.now() }; }
  async getAsync(key) { return this.items.get(key) ?? null; }
  async removeAsync(key) { this.items.delete(key); return key; }
}
const caches = Object.fromEntries(Object.keys(VARIANTS).map((variant) => [variant, new Cache()]));
const known = new Map();

const list = (value) => (Array.isArray(value) ? value : [value]);

const routes = {
  async metadata({ variant }) {
    const own = provider(variant);
    const decryption = VARIANTS[variant].decryptionPvk ? publicCert : null;
    const signing = VARIANTS[variant].privateKey ? publicCert : null;
    return { body: own.generateServiceProviderMetadata(decryption, signing), type: "application/samlmetadata+xml" };
  },
  async login({ variant, fields }) {
    const relayState = `${origin}/${variant}/`;
    const own = provider(variant, fields.binding);
    if (fields.binding === "post") return { body: await own.getAuthorizeFormAsync(relayState), type: "text/html" };
    return { location: await own.getAuthorizeUrlAsync(relayState, undefined, {}) };
  },
  async acs({ variant, fields, key }) {
    const { profile } = await provider(variant).validatePostResponseAsync(fields);
    const attributes = Object.fromEntries(Object.entries(profile.attributes ?? {}).map(([k, v]) => [k, list(v)]));
    const context = profile.getAssertionXml().match(/AuthnContextClassRef[^>]*>([^<]+)</)[1];
    known.set(key, { profile, user: profile.nameID, name_id_format: profile.nameIDFormat,
      session_index: profile.sessionIndex, attributes, relay_state: fields.RelayState ?? "", authn_context: context });
    return { location: `/${variant}/` };
  },
  async logout({ variant, key }) {
    const { profile } = known.get(key);
    known.delete(key);
    return { location: await provider(variant).getLogoutUrlAsync(profile, "", {}) };
  },
  async slo({ variant, fields, key, query, isPost }) {
    const own = provider(variant);
    const { profile, loggedOut } = isPost
      ? await ("SAMLRequest" in fields ? own.validatePostRequestAsync(fields) : own.validatePostResponseAsync(fields))
      : await own.validateRedirectAsync(fields, query);
    if (!loggedOut) throw new Error("not a logout");
    const isMine = known.get(key)?.user === profile?.nameID;
    known.delete(key);
    if (!("SAMLRequest" in fields)) return { location: `/${variant}/` };
    return { location: await own.getLogoutResponseUrlAsync(profile, fields.RelayState ?? "", {}, isMine) };
  },
  async home({ key }) {
    const { profile, ...rest } = known.get(key) ?? {};
    return { body: JSON.stringify(rest), type: "application/json" };
  },
};

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

http.createServer(async (request, response) => {
  const url = new URL(request.url, origin);
  const [, variant, name] = url.pathname.split("/");
  const isPost = request.method === "POST";
  const fields = Object.fromEntries(isPost ? new URLSearchParams(await body(request)) : url.searchParams);
  const held = (request.headers.cookie ?? "").match(new RegExp(`${cookieName}=([0-9a-f]+)`));
  const handle = held ? held[1] : crypto.randomBytes(16).toString("hex");
  const headers = { "Set-Cookie": `${cookieName}=${handle}; Path=/` };
  if (!(variant in VARIANTS)) return response.writeHead(200).end("{}");
  try {
    const query = url.search.slice(1);
    const answer = await routes[name || "home"]({ variant, fields, query, isPost, key: `${handle} ${variant}` });
    if (answer.location) response.writeHead(302, { ...headers, Location: answer.location }).end();
    else response.writeHead(200, { ...headers, "Content-Type": answer.type }).end(answer.body);
  } catch (error) {
    const refused = JSON.stringify({ refused: `${error.name}: ${error.message}` });
    response.writeHead(403, { "Content-Type": "application/json" }).end(refused);
  }
}).listen(Number(options.port), "127.0.0.1");
